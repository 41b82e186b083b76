// Package attack does to the server what the worst hour does, and what somebody who means harm would: floods of names, half
// messages, bombs, queries that explode, disks that are full, frozen or torn away, clocks that jump. The built binary is attacked
// from outside, and nothing but its ports, its files and its exit is looked at.
//
// Problem: that a server "survives" is not much of a statement. It must go on doing right by those who do no harm, and be right
// about them, while it is attacked and after.
//
// So each attack runs in a world of its own: a server that may use 1 GB, an honest sender that sends little and steadily (spans,
// log entries, quota questions, and a reader), and an audit at the end that works out by its own code what the server has to
// say, from what was sent and what was acknowledged. The rules that every world is held to:
//
//   - nothing acknowledged is lost, nothing is counted twice: trace by trace, edge by edge, series by series, and in total,
//     the attacker's spans included;
//   - the process does not die, unless the attack is its death, and starts again after it;
//   - the most that was ever resident is less than the limit;
//   - a service that nobody had heard of when the attack ended has its edge, its series and its place in the list of
//     services within a minute;
//   - honest calls take less than 250 ms at the 99th percentile. On a busy machine this can fail through no fault of the server, so that it
//     is printed, and judged only with JUDGE=1.
//
// What an attack expects beyond that it says itself. BINNACLE_BIN names the binary; without it one is built. ATTACK=full sends the numbers
// that are written beside each attack as "full". What the machine does not permit (mounts, most often) is skipped, and the table says so.
package attack
