package demo

import "time"

// service is one of the shop's services: what it is called, where it lives, and what it does. The table below is the one
// place that says so; the Envoys' configurations, the services' behaviour and the declared Topology all follow from it.
type service struct {
	name, namespace string

	// versions are its workloads, each with an Envoy and a server of its own. The first takes the traffic; the second
	// waits for the chapter that brings it in.
	versions []string

	// mtls demands a client certificate of every caller.
	mtls bool

	// plain makes callers name the service's cluster just so ("pricing"), as a hand-written Envoy configuration does,
	// instead of Istio's outbound|port|subset|host.
	plain bool

	// rpc makes it a gRPC service: all its operations are rpcMethod's.
	rpc bool

	// quota makes its Envoy ask Binnacle before each request.
	quota bool

	operations []operation

	// replicas is how many pods each version has; 0 is one.
	replicas int
}

// operation is one thing that a service can be asked to do.
type operation struct {
	// method and path make its name, "GET /products/{id}". A placeholder stands for anything but a slash. For rpcMethod
	// the path is the full gRPC method.
	method, path string

	// work is the median of the time it spends on its own, beside its steps.
	work time.Duration

	steps []step
}

// step is one thing that an operation does on the way, in order. Exactly one of call, query and publish is set.
type step struct {
	call    string // an operation of another service: "catalog GET /products/{id}", or one of an external host
	query   string // a database, by its address
	publish string // a queue

	// share is how often the step is taken; a cache spares the rest. 0 is always.
	share float64

	// version is set for a step that only this version of the service takes: the edge which a new version adds.
	version string
}

// database is a peer that has no proxy and sends no telemetry: callers tell of it in their own spans.
type database struct {
	address string
	port    int
	system  string // db.system.name
	query   string // what db.query.text says
	took    time.Duration
}

// queue is a messaging peer, likewise silent. One service consumes from it, with one operation.
type queue struct {
	name     string // messaging.destination.name
	system   string
	address  string
	consumer string
	process  operation
}

// external is a host outside the mesh: its caller's Envoy knows the way, nobody tells its side of the story.
type external struct {
	host       string
	operations []operation
}

const (
	gatewayName      = "gateway"
	gatewayNamespace = "edge"
	servicePort      = 9080 // the port that service addresses carry, as in Istio; no listener uses it
)

// shop is the declared mesh.
type shop struct {
	services  []service
	databases []database
	queues    []queue
	externals []external
}

// theShop builds the table. It is a function, not a variable, so that no two meshes in one process share it.
func theShop() shop {
	const ms = time.Millisecond
	v1 := []string{"v1"}
	return shop{
		services: []service{
			{name: "frontend", namespace: "shop", versions: v1, mtls: true, operations: []operation{
				{method: "GET", path: "/", work: 2 * ms, steps: []step{{call: "recommend GET /recommendations"}}},
				{method: "GET", path: "/products/{id}", work: 2 * ms, steps: []step{{call: "catalog GET /products/{id}"}, {call: "reviews GET /reviews/{id}", share: 0.5}}},
				{method: "GET", path: "/search", work: 1 * ms, steps: []step{{call: "search GET /search"}}},
				{method: "GET", path: "/cart", work: 1 * ms, steps: []step{{call: "cart GET /cart"}}},
				{method: "POST", path: "/cart", work: 1 * ms, steps: []step{{call: "cart POST /cart"}}},
				{method: "GET", path: "/account", work: 1 * ms, steps: []step{{call: "users GET /users/{id}"}}},
				{method: "POST", path: "/checkout", work: 2 * ms, steps: []step{{call: "checkout POST /orders"}}},
			}},
			{name: "catalog", namespace: "shop", versions: v1, mtls: true, operations: []operation{
				{method: "GET", path: "/products", work: 2 * ms, steps: []step{{query: "catalog-db.shop"}, {call: "pricing GET /prices", share: 0.5}}},
				{method: "GET", path: "/products/{id}", work: 1 * ms, steps: []step{{query: "catalog-db.shop"}, {call: "pricing GET /prices", share: 0.5}, {call: "inventory GET /stock/{id}", share: 0.5}}},
			}},
			{name: "search", namespace: "shop", versions: v1, quota: true, operations: []operation{
				{method: "GET", path: "/search", work: 3 * ms, steps: []step{{query: "search-index.shop"}, {call: "catalog GET /products", share: 0.3}}},
			}},
			{name: "recommend", namespace: "shop", versions: []string{"v1", "v2"}, operations: []operation{
				{method: "GET", path: "/recommendations", work: 4 * ms, steps: []step{{call: "catalog GET /products", share: 0.3}, {call: "reviews GET /reviews/{id}", version: "v2"}}},
			}},
			{name: "reviews", namespace: "shop", versions: v1, operations: []operation{
				{method: "GET", path: "/reviews/{id}", work: 2 * ms, steps: []step{{query: "reviews-db.shop"}}},
			}},
			{name: "cart", namespace: "shop", versions: v1, mtls: true, operations: []operation{
				{method: "GET", path: "/cart", work: 1 * ms, steps: []step{{query: "cart-cache.shop"}}},
				{method: "POST", path: "/cart", work: 1 * ms, steps: []step{{query: "cart-cache.shop"}, {call: "pricing GET /prices"}}},
			}},
			{name: "pricing", namespace: "shop", versions: v1, plain: true, operations: []operation{
				{method: "GET", path: "/prices", work: 1 * ms},
			}},
			{name: "users", namespace: "shop", versions: v1, mtls: true, operations: []operation{
				{method: "GET", path: "/users/{id}", work: 1 * ms, steps: []step{{query: "users-db.shop"}}},
			}},
			{name: "checkout", namespace: "shop", versions: v1, mtls: true, operations: []operation{
				{method: "POST", path: "/orders", work: 4 * ms, steps: []step{
					{call: "users GET /users/{id}"},
					{call: "cart GET /cart"},
					{call: "shipping POST /quotes"},
					{call: "payment POST /payments"},
					{publish: "orders"},
				}},
			}},
			{name: "payment", namespace: "billing", versions: v1, mtls: true, quota: true, operations: []operation{
				{method: "POST", path: "/payments", work: 3 * ms, steps: []step{{call: "fraud grpc /shop.fraud.v1.Fraud/Score"}, {call: "api.bank.example POST /v1/charges"}}},
			}},
			{name: "fraud", namespace: "billing", versions: v1, mtls: true, rpc: true, operations: []operation{
				{method: rpcMethod, path: "/shop.fraud.v1.Fraud/Score", work: 6 * ms},
			}},
			{name: "shipping", namespace: "fulfil", versions: v1, operations: []operation{
				{method: "POST", path: "/quotes", work: 3 * ms, steps: []step{{call: "inventory GET /stock/{id}"}}},
			}},
			{name: "inventory", namespace: "fulfil", versions: v1, operations: []operation{
				{method: "GET", path: "/stock/{id}", work: 1 * ms, steps: []step{{query: "stock-db.fulfil"}}},
			}},
			{name: "notify", namespace: "fulfil", versions: v1},
		},
		databases: []database{
			{address: "catalog-db.shop", port: 5432, system: "postgresql", query: "SELECT id, name, price_ref FROM products WHERE id = $1", took: 2 * ms},
			{address: "users-db.shop", port: 5432, system: "postgresql", query: "SELECT id, name, address FROM users WHERE id = $1", took: 1 * ms},
			{address: "stock-db.fulfil", port: 5432, system: "postgresql", query: "SELECT on_hand FROM stock WHERE product_id = $1", took: 1 * ms},
			{address: "reviews-db.shop", port: 27017, system: "mongodb", query: "{find: 'reviews', filter: {product: ?}}", took: 3 * ms},
			{address: "search-index.shop", port: 9200, system: "opensearch", query: "{match: {title: ?}}", took: 6 * ms},
			{address: "cart-cache.shop", port: 6379, system: "redis", query: "HGETALL cart:?", took: 300 * time.Microsecond},
		},
		queues: []queue{
			{name: "orders", system: "kafka", address: "broker.fulfil", consumer: "notify", process: operation{
				method: "process", path: "orders", work: 3 * ms, steps: []step{{call: "users GET /users/{id}"}},
			}},
		},
		externals: []external{
			{host: "api.bank.example", operations: []operation{{method: "POST", path: "/v1/charges", work: 25 * ms}}},
		},
	}
}
