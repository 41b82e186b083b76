import {
  AILMENTS,
  type Ailment,
  type GraphEdge,
  type GraphNode,
  type Health,
  type Judgement,
  type Signals,
} from '../api/types';
import { signalsOf, tellingFigure, type GraphModel } from './graph';

// In what way something is unwell, and through whom.
//
// Problem: where one service is slow, all that call it are; who draws them alike shows ten and hides the one. The server
// says which is which (`judgement`). Here that word becomes what every part of the page goes by: the map, its compass and
// table, the lists, the panel, the line at the top. So all of them name the same one first.
//
// Invariant: who is a culprit here is in `GraphModel.culprits`, or says of itself that it is ill by itself; nobody is made
// one by figures. A server that does not judge leaves all who are unwell `accused`: loud, and nobody's victim.

export type Trouble = Ailment;

/** The cause of who is ill of what many share: no node has this id. */
export const SHARED_CAUSE = 'shared:what many share';

/** What part something has in what is wrong. */
export type Part = 'well' | 'culprit' | 'victim' | 'accused';

/** The way in which a node or an edge is unwell; undefined where the server says it is well. */
export function troubleOf(of: GraphNode | GraphEdge, window: string): Trouble | undefined {
  const judged = AILMENTS.find((t) => t === of.judgement?.kind);
  if (judged !== undefined) return judged;
  const figure = tellingFigure(of.health, signalsOf(of, window));
  return figure === undefined
    ? undefined
    : figure === 'latency'
      ? 'slow'
      : figure === 'throttled'
        ? 'throttled'
        : 'failing';
}

/** The same of a node that may be a group: a group is unwell as the worst culprit in it is, or as its health says. */
export function troubleIn(n: GraphNode, window: string): Trouble | undefined {
  if (n.group === undefined) return troubleOf(n, window);
  const worst = AILMENTS.find((t) => t === n.group?.worst?.judgement.kind);
  return worst ?? (n.health === 'failing' ? 'failing' : n.health === 'degraded' ? 'slow' : undefined);
}

/** What is known of a node that may not be shown: enough to say what part it has. */
export type Blamable = Pick<GraphNode, 'id' | 'health' | 'judgement' | 'group'>;

/** Whom a node is unwell because of: itself, another (its id), or nobody says. A group has the part of its worst member. */
export function blameOf(n: Blamable): { part: Part; cause: string | undefined } {
  const { judgement: j, group: g } = n;
  if (g !== undefined) return { part: partOfGroup(n), cause: undefined };
  if (j === undefined) return { part: isUnwell(n.health) ? 'accused' : 'well', cause: undefined };
  const itself = j.because === '' || j.because === n.id;
  return { part: itself ? 'culprit' : 'victim', cause: itself ? undefined : j.because };
}

function partOfGroup(n: Blamable): Part {
  const g = n.group!;
  if (g.culprits > 0) return 'culprit';
  // Where there are victims there is a judge, and who is unwell besides is so by a figure that he does not mind.
  if (g.victims > 0) return 'victim';
  return isUnwell(n.health) ? 'accused' : 'well';
}

/**
 * The part of an edge: loud are the calls that reach who is to blame, or that he no longer makes; the others suffer. An end
 * may be the group in which he is folded away.
 */
export function partOfEdge(e: GraphEdge, m: GraphModel): Part {
  const j = e.judgement;
  if (j === undefined) return isUnwell(e.health) ? 'accused' : 'well';
  const { because } = j;
  if (because === '' || because === e.target || because === e.source) return 'culprit';
  if ((e.bundle ?? 0) === 0) return 'victim';
  const folded = standsFor(m, because);
  return folded === e.target || folded === e.source ? 'culprit' : 'victim';
}

/** Whether an edge's errors are what is wrong with it, and not only what it suffers. */
export function errorsToBlame(e: GraphEdge, m: GraphModel, s: Signals): boolean {
  return tellingFigure(e.health, s) === 'errors' && partOfEdge(e, m) !== 'victim';
}

export function isUnwell(h: Health): boolean {
  return h === 'failing' || h === 'degraded';
}

/** A name for a node that may not be shown: its own, or what its id says. */
export function nameOf(m: GraphModel, id: string): string {
  return m.nodes.get(id)?.name ?? id.slice(Math.max(id.indexOf('/'), id.indexOf(':')) + 1);
}

/** What stands for a node on the map: itself, or the folded group that it lies in; undefined where that is not known. */
export function standsFor(m: GraphModel, id: string): string | undefined {
  if (m.nodes.has(id)) return id;
  for (const n of m.nodes.values()) if (n.group?.worst?.id === id) return n.id;
  const group = `group:${id.includes(':') ? `~${id.slice(0, id.indexOf(':'))}` : id.slice(0, Math.max(0, id.indexOf('/')))}`;
  return m.nodes.has(group) ? group : undefined;
}

/** One who is to blame, as the page tells of him. */
export interface Blamed {
  id: string;
  name: string;
  /** Undefined where he is folded away and nothing but his id is known. */
  judgement: Judgement | undefined;
  /** How many others are unwell because of him. */
  suffer: number;
}

/** Who is to blame, the worst first: the server's own order. */
export function blamed(m: GraphModel): Blamed[] {
  if (m.culprits.length === 0) return [];
  const victims = new Map<string, number>();
  const hidden = new Map<string, { judgement: Judgement; suffer: number; name: string }>();
  for (const n of m.nodes.values()) {
    const { cause } = blameOf(n);
    if (cause !== undefined) victims.set(cause, (victims.get(cause) ?? 0) + 1);
    if (n.group?.worst !== undefined) hidden.set(n.group.worst.id, n.group.worst);
  }
  return m.culprits.map((id) => ({
    id,
    name: hidden.get(id)?.name ?? nameOf(m, id),
    judgement: m.nodes.get(id)?.judgement ?? hidden.get(id)?.judgement,
    suffer: Math.max(victims.get(id) ?? 0, hidden.get(id)?.suffer ?? 0),
  }));
}

/** The node's rank for lists: culprits as the server ranks them, then who is accused, then victims, then the well. */
function rankIn(m: GraphModel, place: ReadonlyMap<string, number>, n: GraphNode): number {
  const { part } = blameOf(n);
  const at = place.get(n.id) ?? (n.group?.worst === undefined ? undefined : place.get(n.group.worst.id));
  if (part === 'culprit') return at ?? m.culprits.length;
  if (part === 'accused') return 1e6 + (n.health === 'failing' ? 0 : 1);
  if (part === 'victim') return 2e6;
  return n.health === 'idle' ? 4e6 : 3e6;
}

/** Orders nodes for lists: who is to blame, who is unwell, who suffers, and then the busy. */
export function bySeverity(m: GraphModel, window: string): (a: GraphNode, b: GraphNode) => number {
  const place = new Map(m.culprits.map((id, i) => [id, i]));
  const rank = new Map<GraphNode, number>();
  const of = (n: GraphNode): number => {
    let r = rank.get(n);
    if (r === undefined) rank.set(n, (r = rankIn(m, place, n)));
    return r;
  };
  return (a, b) =>
    of(a) - of(b) ||
    (b.judgement?.score ?? 0) - (a.judgement?.score ?? 0) ||
    signalsOf(b, window).rate - signalsOf(a, window).rate;
}

/**
 * Ids of all that is unwell in the order in which the compass points and `n` goes: the culprits, folded away or not, then
 * who is accused, the more hurt first, then the victims.
 */
export function troubles(m: GraphModel, window: string): string[] {
  const weight = (n: GraphNode): number =>
    (n.health === 'failing' ? 1e9 : 0) + signalsOf(n, window).error_rate * 1000 + signalsOf(n, window).rate;
  const of = (part: Part): GraphNode[] =>
    [...m.nodes.values()]
      // The members of an open group speak for themselves.
      .filter((n) => n.group?.open !== true && blameOf(n).part === part)
      .sort((a, b) => weight(b) - weight(a) || (a.id < b.id ? -1 : 1));
  const ids = new Set(m.culprits);
  // A folded group stands for culprits that the list does not have; others are gone to themselves.
  for (const n of of('culprit')) if (n.group?.worst === undefined || !ids.has(n.group.worst.id)) ids.add(n.id);
  for (const n of [...of('accused'), ...of('victim')]) ids.add(n.id);
  return [...ids];
}

/** What the compass and the line at the top count. */
export function counts(m: GraphModel): { culprits: number; accused: number; victims: number } {
  let [culprits, accused, victims] = [0, 0, 0];
  for (const n of m.nodes.values()) {
    const g = n.group;
    if (g !== undefined) {
      if (g.open) continue;
      culprits += g.culprits;
      victims += g.victims;
      if (g.culprits + g.victims === 0) accused += g.failing + g.degraded;
      continue;
    }
    const { part } = blameOf(n);
    if (part === 'culprit') culprits++;
    if (part === 'accused') accused++;
    if (part === 'victim') victims++;
  }
  return { culprits: Math.max(culprits, m.culprits.length), accused, victims };
}
