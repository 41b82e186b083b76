// What docs/api/http.md says, as types. Times are Unix ms, durations ms.

export type Health = 'ok' | 'degraded' | 'failing' | 'idle';
export type NodeKind = 'service' | 'database' | 'queue' | 'external' | 'client' | 'group';
export type Protocol = 'http' | 'grpc' | 'tcp' | 'database' | 'messaging' | 'unknown';
export const WINDOWS = ['1s', '10s', '1m', '5m'] as const;
export type LiveWindow = (typeof WINDOWS)[number];

export interface Signals {
  rate: number;
  error_rate: number;
  throttled_rate: number;
  p50: number | undefined;
  p90: number | undefined;
  p99: number | undefined;
}

/** In what way something is ill. */
export const AILMENTS = ['slow', 'failing', 'throttled', 'cut_off'] as const;
export type Ailment = (typeof AILMENTS)[number];

/** The server's word on what is ill, and through whom. Only of what is ill. */
export interface Judgement {
  /** `other` is one that only a newer server knows. */
  kind: Ailment | 'other';
  /** Unix ms. */
  since: number;
  /** The node to blame; empty where a node is ill by itself. Of an edge always a node. */
  because: string;
  /** A sentence with its figures. */
  says: string;
  /** The larger, the worse. */
  score: number;
}

export type Windows = Readonly<Record<string, Signals>>;

export interface GraphNode {
  id: string;
  name: string;
  namespace: string;
  cluster: string;
  kind: NodeKind;
  system: string;
  versions: string[];
  health: Health;
  judgement?: Judgement | undefined;
  /** Kinds of the findings that concern it. */
  findings?: string[] | undefined;
  windows: Windows;
  last_seen: number;
  /** It is not in the graph: it was, in the time that the graph is compared with. Set by the page. */
  ghost?: boolean | undefined;
  /** The group, shown open, in which the node lies; only in a folded graph. */
  within?: string | undefined;
  /** Only of kind `group`: nodes that are folded into one. */
  group?: GroupInfo | undefined;
}

/** What a group holds. The group's own windows are what comes into it from outside; quantiles are its parts' highest. */
export interface GroupInfo {
  members: number;
  /** How many of them are shown by themselves: none of a folded group, the most telling ones of a large open one. */
  shown: number;
  open: boolean;
  failing: number;
  degraded: number;
  /** Members that are ill by themselves, and such as are ill because of another. */
  culprits: number;
  victims: number;
  /** The worst of the culprits among its members. */
  worst?: Culprit | undefined;
  /** Requests between its members. */
  inner: Windows;
}

/** One that is ill by itself, told of where its node may not be shown. */
export interface Culprit {
  id: string;
  name: string;
  /** How many nodes of the whole graph are ill because of it. */
  suffer: number;
  judgement: Judgement;
}

/** A node that was found by its name, and the group that must be open for it to be seen; empty where nothing is folded. */
export interface Found {
  id: string;
  name: string;
  namespace: string;
  kind: NodeKind;
  health: Health;
  judgement?: Judgement | undefined;
  group: string;
}

export interface Exemplar {
  trace_id: string;
  span_id: string;
  duration: number;
  error: boolean;
  time: number;
}

export interface Witnesses {
  client_span: number;
  server_span: number;
  client_log: number;
  server_log: number;
}

/** How many requests there were by one side's spans, each counted for as many as it stands for. */
export interface Estimated {
  requests: number;
  /** An error bar: 95 % of the time the truth is no further away. */
  within: number;
}

/** How many requests there were, where samplers left spans out and say in which share. */
export interface Estimate {
  by: keyof Witnesses;
  requests: number;
  within: number;
  client_span: Estimated;
  server_span: Estimated;
}

export interface GraphEdge {
  id: string;
  source: string;
  target: string;
  protocol: Protocol;
  health: Health;
  judgement?: Judgement | undefined;
  /** Kinds of the findings that concern it. */
  findings?: string[] | undefined;
  windows: Windows;
  totals: { requests: number; errors: number; throttled: number };
  witnesses: Witnesses;
  /** Absent where no span was sampled by a sampler that says so: then the totals are all there is to know. */
  estimate?: Estimate | undefined;
  /** Share of requests under mutual TLS, or -1 where no witness can tell. */
  mtls: number;
  throttled_by: { rule: string; rate: number }[];
  exemplars: Exemplar[];
  first_seen: number;
  last_seen: number;
  /** It is not in the graph, and was: as of a node. */
  ghost?: boolean | undefined;
  /** How many edges of the graph this one stands for, where an end is folded; else 0. */
  bundle?: number | undefined;
}

export interface Graph {
  version: number;
  time: number;
  origin: 'live' | 'series';
  nodes: GraphNode[];
  edges: GraphEdge[];
  /** The nodes that are ill by themselves, the worst first. */
  culprits: string[];
  /** What is noticed of the mesh. */
  findings?: Finding[] | undefined;
  /** What could not be read of a past range: what it held may be lacking. */
  incomplete?: Unread[] | undefined;
}

export interface GraphDelta {
  version: number;
  time: number;
  nodes: GraphNode[];
  edges: GraphEdge[];
  removed_nodes: string[];
  removed_edges: string[];
  /** All of them anew, and not what changed. */
  culprits: string[];
  /** All of them anew as well. */
  findings?: Finding[] | undefined;
}

export interface TraceSummary {
  trace_id: string;
  start: number;
  duration: number;
  root_service: string;
  root_operation: string;
  spans: number;
  errors: number;
  services: { name: string; spans: number }[];
}

export interface TraceSearch {
  traces: TraceSummary[];
  searched: { spans: number; blocks: number; took: number };
  incomplete: Unread[];
}

/** A file that could not be read: what it holds may be lacking in the answer. */
export interface Unread {
  file: string;
  reason: string;
}

export type AttributeValue = string | number | boolean | AttributeValue[] | null;
export type Attributes = Readonly<Record<string, AttributeValue>>;
export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer';
export type SpanStatus = 'unset' | 'ok' | 'error';

export interface Span {
  span_id: string;
  parent_span_id: string;
  name: string;
  kind: SpanKind;
  service: string;
  namespace: string;
  version: string;
  start: number;
  duration: number;
  status: SpanStatus;
  status_message: string;
  attributes: Attributes;
  resource: Attributes;
  events: { time: number; name: string; attributes: Attributes }[];
  links: { trace_id: string; span_id: string; attributes: Attributes }[];
}

export interface RequestLog {
  service: string;
  target: string;
  side: string;
  method: string;
  path: string;
  code: number;
  flags: string;
  start: number;
  duration: number;
}

export interface Trace {
  trace_id: string;
  start: number;
  duration: number;
  spans: Span[];
  requests: RequestLog[];
  incomplete: Unread[];
}

export interface ServiceEntry {
  name: string;
  namespace: string;
  operations: { name: string; kind: string }[];
}

export interface QuotaKey {
  key: string;
  used: number;
  limit: number;
  limited: number;
  limited_rate: number;
  resets_in: number;
}

export interface QuotaRule {
  id: string;
  domain: string;
  descriptor: string;
  name: string;
  unit: string;
  requests_per_unit: number;
  unlimited: boolean;
  shadow_mode: boolean;
  decisions: { total: number; ok: number; over_limit: number; near_limit: number; shadow: number };
  rates: { ok: number; over_limit: number };
  active_keys: number;
  top: QuotaKey[];
}

export interface Quotas {
  generation: number;
  loaded_at: number;
  error: string;
  files: { name: string; domain: string }[];
  rules: QuotaRule[];
}

/** What follows the log of what was received: the graph with its signals, and each store. */
export interface Follower {
  name: string;
  /** The log is kept for who is essential; who is not skips forward when too far behind. */
  policy: 'essential' | 'best_effort';
  position: number;
  lag_seconds: number;
  lag_bytes: number;
  /** What was skipped since the server's start. */
  left_out: { batches: number; spans: number; requests: number };
}

export interface Status {
  name: string;
  version: string;
  started: number;
  ready: boolean;
  /** `name` is the port's key in the configuration; older servers leave it out. */
  ports: { name: string; address: string; speaks: string }[];
  received: { spans: number; requests: number };
  stored: { spans: number; bytes: number; blocks: number };
  log: { bytes: number; followers: Follower[] };
  dropped: Readonly<Record<string, number>>;
  findings: Finding[];
}

/** Something that the server noticed and an operator should know: of the mesh and what reports of it, or of the server itself. */
export interface Finding {
  kind: string;
  subject: string;
  severity: 'info' | 'warning';
  /** A sentence with its figures. */
  says: string;
  /** What it rests on, a sentence each. */
  evidence: string[];
  /** A sentence: what to do about it. */
  remedy: string;
  count: number;
  /** Unix ms. */
  since: number;
  /** Something is lost, and not only late or in a sum. */
  loss: boolean;
  /** Where it happens, by their ids; none where it is the server's own. */
  nodes: string[];
  edges: string[];
}
