package switchboard

import (
	"encoding/json"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
)

func askMetrics(t *testing.T, m *Metrics, path string, ready bool) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(func() bool { return ready }).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w.Code, w.Body.String()
}

// filled returns metrics in which every series has a sample.
func filled() *Metrics {
	m := NewMetrics()
	m.watch(func() int { return 5 }, func() int { return 2 }, func() int { return 1 })
	m.WatchCluster(func() bool { return true }, func() int { return 2 })
	m.refusals.WithLabelValues("token").Inc()
	m.handshake.Observe(0.02)
	m.lookups.WithLabelValues("true").Inc()
	m.links.WithLabelValues("well").Observe(1)
	m.bytes.WithLabelValues("from_waiting").Add(10)
	m.bytes.WithLabelValues("to_waiting").Add(20)
	m.evictions.WithLabelValues("waiting").Observe(7)
	return m
}

// Everything that was counted appears, in Prometheus' text format.
func TestMetrics(t *testing.T) {
	_, text := askMetrics(t, filled(), "/metrics", true)
	for _, want := range []string{
		"aig_switchboard_connections 5", "aig_switchboard_waiting 2", "aig_switchboard_links 1",
		"aig_switchboard_nats_connected 1", "aig_switchboard_other_nodes 2",
		`aig_switchboard_refusals_total{reason="token"} 1`, "aig_switchboard_handshake_duration_seconds_count 1",
		`aig_switchboard_lookups_total{found="true"} 1`, `aig_switchboard_link_duration_seconds_count{how="well"} 1`,
		`aig_switchboard_bytes_total{direction="from_waiting"} 10`, `aig_switchboard_bytes_total{direction="to_waiting"} 20`,
		`aig_switchboard_eviction_crowd_sum{from="waiting"} 7`,
	} {
		if !strings.Contains(text, "\n"+want+"\n") {
			t.Errorf("no line %s in\n%s", want, text)
		}
	}
}

// A switchboard that is going down is alive but not ready.
func TestHealth(t *testing.T) {
	m := NewMetrics()
	for _, c := range []struct {
		path  string
		ready bool
		code  int
	}{{"/healthz", true, 200}, {"/healthz", false, 200}, {"/readyz", true, 200}, {"/readyz", false, 503}, {"/else", true, 404}} {
		if code, _ := askMetrics(t, m, c.path, c.ready); code != c.code {
			t.Errorf("%s: %d", c.path, code)
		}
	}
}

// The dashboard queries only metrics that exist, and every one of them.
func TestDashboard(t *testing.T) {
	data, err := os.ReadFile("../../docs/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct{ Targets []struct{ Expr string } }
	}
	if err := json.Unmarshal(data, &dashboard); err != nil {
		t.Fatal(err)
	}
	_, text := askMetrics(t, filled(), "/metrics", true)
	asked := make(map[string]bool)
	suffix := regexp.MustCompile("_(bucket|count|sum)$")
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			for _, name := range regexp.MustCompile("aig_[a-z_]+").FindAllString(target.Expr, -1) {
				if !regexp.MustCompile("(?m)^" + name + "[ {]").MatchString(text) {
					t.Errorf("there is no %s", name)
				}
				asked[suffix.ReplaceAllString(name, "")] = true
			}
		}
	}
	for _, m := range regexp.MustCompile("(?m)^# TYPE (aig_[a-z_]+) ").FindAllStringSubmatch(text, -1) {
		if !asked[m[1]] {
			t.Errorf("nobody asks for %s", m[1])
		}
	}
}
