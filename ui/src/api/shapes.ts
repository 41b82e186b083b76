import { flag, list, num, object, or, record, text, word, type Check } from './check';
import { AILMENTS } from './types';
import type {
  Attributes,
  AttributeValue,
  Culprit,
  Estimate,
  Estimated,
  Exemplar,
  Finding,
  Follower,
  Found,
  Graph,
  GraphDelta,
  GraphEdge,
  GraphNode,
  GroupInfo,
  Health,
  Judgement,
  NodeKind,
  Protocol,
  QuotaKey,
  QuotaRule,
  Quotas,
  RequestLog,
  ServiceEntry,
  Signals,
  Span,
  Status,
  Trace,
  TraceSearch,
  TraceSummary,
  Unread,
} from './types';

const str = or(text, '');
const zero = or(num, 0);
export const health: Check<Health> = or<Health, Health>(
  word<Health>(['ok', 'degraded', 'failing', 'idle'], 'idle'),
  'idle',
);

const judgement = object<Judgement>({
  kind: word<Judgement['kind']>(AILMENTS, 'other'),
  since: zero,
  because: str,
  says: str,
  score: zero,
});

export const signals = object<Signals>({
  rate: zero,
  error_rate: zero,
  throttled_rate: zero,
  p50: or(num, undefined),
  p90: or(num, undefined),
  p99: or(num, undefined),
});

export const nodeKind: Check<NodeKind> = or(
  word<NodeKind>(['service', 'database', 'queue', 'external', 'client', 'group'], 'service'),
  'service',
);

const group = object<GroupInfo>({
  members: zero,
  shown: zero,
  open: or(flag, false),
  failing: zero,
  degraded: zero,
  culprits: zero,
  victims: zero,
  worst: or(object<Culprit>({ id: text, name: str, suffer: zero, judgement }), undefined),
  inner: record(signals),
});

const node = object<GraphNode>({
  id: text,
  name: text,
  namespace: str,
  cluster: str,
  kind: nodeKind,
  system: str,
  versions: list(text),
  health,
  judgement: or(judgement, undefined),
  findings: or(list(text), undefined),
  windows: record(signals),
  last_seen: zero,
  ghost: () => undefined,
  within: or(text, undefined),
  group: or(group, undefined),
});

export const found: Check<{ found: number; nodes: Found[] }> = object({
  found: zero,
  nodes: list(
    object<Found>({
      id: text,
      name: str,
      namespace: str,
      kind: nodeKind,
      health,
      judgement: or(judgement, undefined),
      group: str,
    }),
  ),
});

export const protocol: Check<Protocol> = or(
  word<Protocol>(['http', 'grpc', 'tcp', 'database', 'messaging', 'unknown'], 'unknown'),
  'unknown',
);

const exemplar = object<Exemplar>({ trace_id: text, span_id: str, duration: zero, error: or(flag, false), time: zero });

const estimated = object<Estimated>({
  requests: zero,
  within: zero,
});

const estimate = object<Estimate>({
  by: or(
    word<Estimate['by']>(['client_span', 'server_span', 'client_log', 'server_log'], 'client_span'),
    'client_span',
  ),
  requests: zero,
  within: zero,
  client_span: or(estimated, { requests: 0, within: 0 }),
  server_span: or(estimated, { requests: 0, within: 0 }),
});

const edge = object<GraphEdge>({
  id: text,
  source: text,
  target: text,
  protocol,
  health,
  judgement: or(judgement, undefined),
  findings: or(list(text), undefined),
  windows: record(signals),
  totals: or(object({ requests: zero, errors: zero, throttled: zero }), { requests: 0, errors: 0, throttled: 0 }),
  witnesses: or(object({ client_span: zero, server_span: zero, client_log: zero, server_log: zero }), {
    client_span: 0,
    server_span: 0,
    client_log: 0,
    server_log: 0,
  }),
  estimate: or(estimate, undefined),
  mtls: or(num, -1),
  throttled_by: list(object({ rule: text, rate: zero })),
  exemplars: list(exemplar),
  first_seen: zero,
  last_seen: zero,
  ghost: () => undefined,
  bundle: or(num, undefined),
});

export const unread = object<Unread>({ file: text, reason: text });

const finding = object<Finding>({
  kind: str,
  subject: str,
  severity: or(word<Finding['severity']>(['info', 'warning'], 'warning'), 'warning'),
  says: text,
  evidence: list(text),
  remedy: str,
  count: zero,
  since: zero,
  loss: or(flag, false),
  nodes: list(text),
  edges: list(text),
});

export const graph: Check<Graph> = object<Graph>({
  version: zero,
  time: num,
  origin: or(word(['live', 'series'], 'live'), 'live'),
  nodes: list(node),
  edges: list(edge),
  culprits: list(text),
  findings: list(finding),
  incomplete: list(unread),
});

export const graphDelta: Check<GraphDelta> = object<GraphDelta>({
  version: num,
  time: num,
  nodes: list(node),
  edges: list(edge),
  removed_nodes: list(text),
  removed_edges: list(text),
  culprits: list(text),
  findings: list(finding),
});

const traceSummary = object<TraceSummary>({
  trace_id: text,
  start: num,
  duration: num,
  root_service: str,
  root_operation: str,
  spans: zero,
  errors: zero,
  services: list(object({ name: text, spans: zero })),
});

export const traceSearch: Check<TraceSearch> = object<TraceSearch>({
  traces: list(traceSummary),
  searched: or(object({ spans: zero, blocks: zero, took: zero }), { spans: 0, blocks: 0, took: 0 }),
  incomplete: list(unread),
});

const attribute: Check<AttributeValue> = (v, p) => {
  if (v === null || typeof v === 'string' || typeof v === 'number' || typeof v === 'boolean') return v;
  if (Array.isArray(v)) return v.map((e: unknown, i) => attribute(e, `${p}[${i}]`));
  return typeof v === 'object' ? JSON.stringify(v) : null;
};
const attributes: Check<Attributes> = record(attribute);

const span = object<Span>({
  span_id: text,
  parent_span_id: str,
  name: str,
  kind: or(word(['internal', 'server', 'client', 'producer', 'consumer'], 'internal'), 'internal'),
  service: str,
  namespace: str,
  version: str,
  start: num,
  duration: num,
  status: or(word(['unset', 'ok', 'error'], 'unset'), 'unset'),
  status_message: str,
  attributes,
  resource: attributes,
  events: list(object({ time: zero, name: str, attributes })),
  links: list(object({ trace_id: str, span_id: str, attributes })),
});

const requestLog = object<RequestLog>({
  service: str,
  target: str,
  side: str,
  method: str,
  path: str,
  code: zero,
  flags: str,
  start: zero,
  duration: zero,
});

export const trace: Check<Trace> = object<Trace>({
  trace_id: text,
  start: num,
  duration: num,
  spans: list(span),
  requests: list(requestLog),
  incomplete: list(unread),
});

export const services: Check<{ services: ServiceEntry[] }> = object({
  services: list(
    object<ServiceEntry>({ name: text, namespace: str, operations: list(object({ name: str, kind: str })) }),
  ),
});

const quotaKey = object<QuotaKey>({
  key: text,
  used: zero,
  limit: zero,
  limited: zero,
  limited_rate: zero,
  resets_in: zero,
});

const quotaRule = object<QuotaRule>({
  id: text,
  domain: str,
  descriptor: str,
  name: str,
  unit: str,
  requests_per_unit: zero,
  unlimited: or(flag, false),
  shadow_mode: or(flag, false),
  decisions: or(object({ total: zero, ok: zero, over_limit: zero, near_limit: zero, shadow: zero }), {
    total: 0,
    ok: 0,
    over_limit: 0,
    near_limit: 0,
    shadow: 0,
  }),
  rates: or(object({ ok: zero, over_limit: zero }), { ok: 0, over_limit: 0 }),
  active_keys: zero,
  top: list(quotaKey),
});

export const quotas: Check<Quotas> = object<Quotas>({
  generation: zero,
  loaded_at: zero,
  error: str,
  files: list(object({ name: text, domain: str })),
  rules: list(quotaRule),
});

const follower = object<Follower>({
  name: text,
  policy: or(word(['essential', 'best_effort'], 'best_effort'), 'essential'),
  position: zero,
  lag_seconds: zero,
  lag_bytes: zero,
  left_out: or(object({ batches: zero, spans: zero, requests: zero }), { batches: 0, spans: 0, requests: 0 }),
});

export const status: Check<Status> = object<Status>({
  name: str,
  version: str,
  started: zero,
  ready: or(flag, false),
  ports: list(object({ name: str, address: text, speaks: str })),
  received: or(object({ spans: zero, requests: zero }), { spans: 0, requests: 0 }),
  stored: or(object({ spans: zero, bytes: zero, blocks: zero }), { spans: 0, bytes: 0, blocks: 0 }),
  log: or(object({ bytes: zero, followers: list(follower) }), { bytes: 0, followers: [] }),
  dropped: record(num),
  findings: list(finding),
});
