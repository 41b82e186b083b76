import type { ComponentChildren, JSX } from 'preact';
import { Button } from './parts';

// What a page shows when it has nothing to show: drawn, not excused.

function CompassRose(p: { kind: 'empty' | 'failed' | 'loading' }): JSX.Element {
  const ticks = Array.from({ length: 32 }, (_, i) => i * 11.25);
  return (
    <svg class={`rose rose-${p.kind}`} viewBox="-60 -60 120 120" width="132" height="132" aria-hidden="true">
      <circle r="56" class="rose-rim" />
      <circle r="42" class="rose-rim thin" />
      {ticks.map((a) => (
        <line
          key={a}
          x1="0"
          y1="-56"
          x2="0"
          y2={a % 45 === 0 ? -46 : a % 22.5 === 0 ? -49 : -52}
          transform={`rotate(${a})`}
          class="rose-tick"
        />
      ))}
      <g class="rose-needle">
        <path d="M0-40 6 0H-6Z" class="north" />
        <path d="M0 40 6 0H-6Z" class="south" />
        <circle r="3" class="pin" />
      </g>
    </svg>
  );
}

export function Loading(p: { what: string }): JSX.Element {
  return (
    <div class="state" role="status">
      <CompassRose kind="loading" />
      <h2>Taking a bearing</h2>
      <p>{p.what}</p>
    </div>
  );
}

export function Failure(p: { title: string; error: string; retry?: () => void }): JSX.Element {
  return (
    <div class="state" role="alert">
      <CompassRose kind="failed" />
      <h2>{p.title}</h2>
      <p>{p.error}</p>
      {p.retry === undefined ? null : (
        <Button kind="primary" onClick={p.retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

export function Nothing(p: { title: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="state">
      <CompassRose kind="empty" />
      <h2>{p.title}</h2>
      {p.children}
    </div>
  );
}

/** The three lines that make an Envoy send, over the one cluster that they need. */
export function HowToSend(p: { quotas?: boolean }): JSX.Element {
  return (
    <div class="how">
      <p>
        {p.quotas === true
          ? 'Point a proxy’s rate-limit filter at the mesh port:'
          : 'Give an Envoy these three lines, and the map draws itself:'}
      </p>
      <pre>
        <span class="dim"># cluster binnacle → 127.0.0.1:9091, HTTP/2</span>
        {'\n'}
        {p.quotas === true ? null : (
          <>
            <b>tracing</b>
            {':    { provider: { name: '}
            <i>envoy.tracers.opentelemetry</i>
            {', typed_config: { grpc_service: { envoy_grpc: { cluster_name: binnacle } } } } }\n'}
            <b>access_log</b>
            {': [{ name: '}
            <i>envoy.access_loggers.http_grpc</i>
            {
              ', typed_config: { common_config: { log_name: mesh, grpc_service: { envoy_grpc: { cluster_name: binnacle } } } } }]\n'
            }
          </>
        )}
        <b>ratelimit</b>
        {':  { name: '}
        <i>envoy.filters.http.ratelimit</i>
        {
          ', typed_config: { domain: shop, rate_limit_service: { transport_api_version: V3, grpc_service: { envoy_grpc: { cluster_name: binnacle } } } } }'
        }
      </pre>
      <details>
        <summary>The cluster</summary>
        <pre>{`- name: binnacle
  type: STATIC
  typed_extension_protocol_options:
    envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
      "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
      explicit_http_config: { http2_protocol_options: {} }
  load_assignment:
    cluster_name: binnacle
    endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 9091 } } } }] }]`}</pre>
      </details>
      <p class="dim">OpenTelemetry SDKs may send OTLP to 127.0.0.1:4317 (gRPC) or 4318 (HTTP).</p>
    </div>
  );
}
