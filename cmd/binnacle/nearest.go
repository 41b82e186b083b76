package main

import "fmt"

// didYouMean names what of names is nearest to word, or nothing where none is near.
func didYouMean(word string, names []string, prefix string) string {
	const letter = 2 // so that among equals one with the same first letter wins
	best, least := "", letter*max(1, len(word)/3)+2
	for _, n := range names {
		d := letter * distance(word, n)
		if word == "" || n == "" || word[0] != n[0] {
			d++
		}
		if d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s%s?", prefix, best)
}

// distance is how many letters must be put in, left out, replaced or swapped
// with their neighbour to make b of a.
func distance(a, b string) int {
	var older []int
	old, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		older, old, row = old, row, make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(old[j]+cost, old[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], older[j-1]+1)
			}
		}
	}
	return row[len(b)]
}
