package switchboard

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// refusalsName is the name of the counters of refusals, which go to the log too.
const refusalsName = "aig_switchboard_refusals_total"

// Metrics counts what happens at a switchboard, for Prometheus, in a registry of its own. No label holds an address, a token or a key.
// It is safe for concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	factory   promauto.Factory
	refusals  *prometheus.CounterVec
	handshake prometheus.Histogram
	lookups   *prometheus.CounterVec
	links     *prometheus.HistogramVec
	bytes     *prometheus.CounterVec
	evictions *prometheus.HistogramVec
}

// NewMetrics returns the metrics of one switchboard.
func NewMetrics() *Metrics {
	registry := prometheus.NewRegistry()
	f := promauto.With(registry)
	seconds := prometheus.ExponentialBuckets(0.01, 4, 8) // 10 ms to 164 s
	return &Metrics{
		registry: registry, factory: f,
		refusals: f.NewCounterVec(prometheus.CounterOpts{Name: refusalsName,
			Help: "Clients refused or cut off, by reason as in the log."}, []string{"reason"}),
		handshake: f.NewHistogram(prometheus.HistogramOpts{Name: "aig_switchboard_handshake_duration_seconds",
			Help: "How long successful SSH handshakes took.", Buckets: seconds}),
		lookups: f.NewCounterVec(prometheus.CounterOpts{Name: "aig_switchboard_lookups_total",
			Help: "Tokens tried, by whether somebody waited under them."}, []string{"found"}),
		links: f.NewHistogramVec(prometheus.HistogramOpts{Name: "aig_switchboard_link_duration_seconds",
			Help: "How long links lasted, by how they ended.", Buckets: prometheus.ExponentialBuckets(0.1, 4, 9)}, []string{"how"}),
		bytes: f.NewCounterVec(prometheus.CounterOpts{Name: "aig_switchboard_bytes_total",
			Help: "Bytes carried by links that have ended, from the side that waited and to it."}, []string{"direction"}),
		evictions: f.NewHistogramVec(prometheus.HistogramOpts{Name: "aig_switchboard_eviction_crowd",
			Help:    "Members of the evicted client's network at an eviction, by which limit was reached.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11)}, []string{"from"}),
	}
}

// watch adds gauges of a server, read at each scrape.
func (m *Metrics) watch(connections, waiting, links func() int) {
	m.gauge("connections", "Open connections.", connections)
	m.gauge("waiting", "Sides waiting for their other side.", waiting)
	m.gauge("links", "Running links.", links)
}

// WatchCluster adds gauges of a cluster, read at each scrape.
func (m *Metrics) WatchCluster(connected func() bool, nodes func() int) {
	m.gauge("nats_connected", "1 while connected to NATS, by which the nodes find each other.", func() int {
		if connected() {
			return 1
		}
		return 0
	})
	m.gauge("other_nodes", "Other nodes whose heartbeat was heard lately.", nodes)
}

func (m *Metrics) gauge(name, help string, number func() int) {
	m.factory.NewGaugeFunc(prometheus.GaugeOpts{Name: "aig_switchboard_" + name, Help: help},
		func() float64 { return float64(number()) })
}

// Handler serves /metrics, /healthz and /readyz; the last succeeds while ready returns true.
func (m *Metrics) Handler(ready func() bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready() {
			http.Error(w, "going down", http.StatusServiceUnavailable)
			return
		}
		w.Write([]byte("ok\n"))
	})
	return mux
}

// refusalCounts returns how many clients were refused or cut off for each reason, sorted.
func (m *Metrics) refusalCounts() (counts []slog.Attr) {
	families, _ := m.registry.Gather() // what a broken gauge leaves out is another family
	for _, f := range families {
		if f.GetName() == refusalsName {
			for _, c := range f.Metric {
				counts = append(counts, slog.Uint64(c.Label[0].GetValue(), uint64(c.Counter.GetValue())))
			}
		}
	}
	return counts
}
