package block

import "github.com/binnacle-mesh/binnacle/telemetry"

// A kind says what a column's values are: in the head as 64 bits (or bytes),
// in Parquet as a physical and logical type.
type kind uint8

const (
	kindText     kind = iota // a string; in the head the id of one
	kindEnum                 // a string out of a fixed list; in the head its number
	kindInt32                // INT32
	kindInt64                // INT64
	kindDuration             // INT64, nearly all different
	kindTime                 // INT64 with the logical type TIMESTAMP(NANOS, UTC)
	kindDouble               // DOUBLE; in the head its bits
	kindBool                 // BOOLEAN
	kindID8                  // FIXED_LEN_BYTE_ARRAY(8); in the head a big-endian number
	kindTraceID              // FIXED_LEN_BYTE_ARRAY(16)
	kindUUID                 // FIXED_LEN_BYTE_ARRAY(16) with the logical type UUID; in the head its bytes
	kindJSON                 // a string of JSON; in the head bytes
)

// A columnDef is one column of a file.
type columnDef struct {
	name     string
	kind     kind
	required bool
	names    []string // of a kindEnum, by number
}

// Columns that both files have, first in each list: what every row carries.
const (
	colEnd = iota // ends a row's list of values in the head; not a column
	colTraceID
	colSpanID
	colStart
	colDuration
	colCluster // the identity of the workload that reports, in the order of telemetry.Identity
	colNamespace
	colWorkload
	colService
	colApp
	colVersion
	colInstance
	colPrincipal
	colResource
	colAttributes
	colProtocol
	colOutcome
	colCode
	colPeerKind
	colResponseFlags
	colUpstreamCluster
	numCommon
)

// Columns of spans.parquet alone.
const (
	colParentSpanID = numCommon + iota
	colParentRow
	colName
	colKind
	colStatus
	colStatusMessage
	colTraceState
	colFlags
	colScopeName
	colScopeVersion
	colPeer
	colPeerNamespace
	colPeerSystem
	colEvents
	colLinks
	numSpanColumns
)

// Columns of requests.parquet alone. Their numbers do not overlap those of spans, so
// that a number says which column is meant.
const (
	colSide = numSpanColumns + iota
	colTLS
	colMethod
	colPath
	colAuthority
	colRequestID
	colRoute
	colUpstream
	colRemote
	colAttempts
	colBytesIn
	colBytesOut
	colPeerCluster // the peer's identity, in the order of telemetry.Identity
	colRequestPeerNamespace
	colPeerWorkload
	colPeerService
	colPeerApp
	colPeerVersion
	colPeerInstance
	colPeerPrincipal
	colRequestUUID
	colUpstreamPort
	colRemotePort
	numRequestColumns
)

// colDynamic is the first number of the columns of single attribute keys.
const colDynamic = 64

// attrPrefix begins the name of the column of one attribute key.
const attrPrefix = "attr."

func commonColumns() []columnDef {
	return []columnDef{
		colEnd:             {},
		colTraceID:         {name: "trace_id", kind: kindTraceID, required: true},
		colSpanID:          {name: "span_id", kind: kindID8},
		colStart:           {name: "start", kind: kindTime, required: true},
		colDuration:        {name: "duration", kind: kindDuration, required: true},
		colCluster:         {name: "cluster"},
		colNamespace:       {name: "namespace"},
		colWorkload:        {name: "workload"},
		colService:         {name: "service"},
		colApp:             {name: "app"},
		colVersion:         {name: "version"},
		colInstance:        {name: "instance"},
		colPrincipal:       {name: "principal"},
		colResource:        {name: "resource"},
		colAttributes:      {name: "attributes", kind: kindJSON},
		colProtocol:        {name: "protocol", kind: kindEnum, required: true, names: protocolNames()},
		colOutcome:         {name: "outcome", kind: kindEnum, required: true, names: outcomeNames()},
		colCode:            {name: "code", kind: kindInt32},
		colPeerKind:        {name: "peer_kind", kind: kindEnum, names: nodeKindNames()},
		colResponseFlags:   {name: "response_flags", kind: kindInt64},
		colUpstreamCluster: {name: "upstream_cluster"},
	}
}

// spanColumns is spans.parquet, without the columns of single attribute keys.
func spanColumns() []columnDef {
	defs := append(commonColumns(), make([]columnDef, numSpanColumns-numCommon)...)
	defs[colSpanID].required = true
	for i, d := range map[int]columnDef{
		colParentSpanID:  {name: "parent_span_id", kind: kindID8},
		colParentRow:     {name: "parent_row", kind: kindInt32},
		colName:          {name: "name", required: true},
		colKind:          {name: "kind", kind: kindEnum, required: true, names: spanKindNames()},
		colStatus:        {name: "status", kind: kindEnum, required: true, names: statusNames()},
		colStatusMessage: {name: "status_message"},
		colTraceState:    {name: "trace_state"},
		colFlags:         {name: "flags", kind: kindInt64},
		colScopeName:     {name: "scope_name"},
		colScopeVersion:  {name: "scope_version"},
		colPeer:          {name: "peer"},
		colPeerNamespace: {name: "peer_namespace"},
		colPeerSystem:    {name: "peer_system"},
		colEvents:        {name: "events", kind: kindJSON},
		colLinks:         {name: "links", kind: kindJSON},
	} {
		defs[i] = d
	}
	return defs
}

// requestColumns is requests.parquet, without the columns of single attribute keys.
func requestColumns() []columnDef {
	defs := append(commonColumns(), make([]columnDef, numRequestColumns-numCommon)...) // those of spans stay empty
	for i, d := range map[int]columnDef{
		colSide:                 {name: "side", kind: kindEnum, required: true, names: []string{"client", "server"}},
		colTLS:                  {name: "tls", kind: kindEnum, names: []string{"unknown", "none", "tls", "mtls"}},
		colMethod:               {name: "method"},
		colPath:                 {name: "path"},
		colAuthority:            {name: "authority"},
		colRequestID:            {name: "request_id"},
		colRoute:                {name: "route"},
		colUpstream:             {name: "upstream"},
		colRemote:               {name: "remote"},
		colAttempts:             {name: "attempts", kind: kindInt64},
		colBytesIn:              {name: "bytes_in", kind: kindInt64},
		colBytesOut:             {name: "bytes_out", kind: kindInt64},
		colPeerCluster:          {name: "peer_cluster"},
		colRequestPeerNamespace: {name: "peer_namespace"},
		colPeerWorkload:         {name: "peer_workload"},
		colPeerService:          {name: "peer_service"},
		colPeerApp:              {name: "peer_app"},
		colPeerVersion:          {name: "peer_version"},
		colPeerInstance:         {name: "peer_instance"},
		colPeerPrincipal:        {name: "peer_principal"},
		colRequestUUID:          {name: "request_uuid", kind: kindUUID},
		colUpstreamPort:         {name: "upstream_port", kind: kindInt32},
		colRemotePort:           {name: "remote_port", kind: kindInt32},
	} {
		defs[i] = d
	}
	return defs
}

func spanKindNames() []string {
	names := []string{"unspecified"}
	for k := telemetry.KindInternal; k <= telemetry.KindConsumer; k++ {
		names = append(names, k.String())
	}
	return names
}

func statusNames() []string {
	return []string{telemetry.StatusUnset.String(), telemetry.StatusOK.String(), telemetry.StatusError.String()}
}

func protocolNames() []string {
	var names []string
	for p := telemetry.ProtocolUnknown; p <= telemetry.ProtocolMessaging; p++ {
		names = append(names, p.String())
	}
	return names
}

func outcomeNames() []string {
	var names []string
	for o := telemetry.OutcomeOK; o <= telemetry.OutcomeThrottled; o++ {
		names = append(names, o.String())
	}
	return names
}

func nodeKindNames() []string {
	var names []string
	for k := telemetry.NodeUnknown; k <= telemetry.NodeClient; k++ {
		names = append(names, k.String())
	}
	return names
}
