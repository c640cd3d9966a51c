package playbook_test

import (
	"fmt"
	"strings"
	"testing"
)

// Values of 120 s, a sample every 2 s. The agent comes in second 60.
const (
	none     = "0x60"
	one      = "1x60"
	sinceNow = "0x26 1x34" // since 8 s before the agent comes
	// blip is one for 16 s, as a busy machine makes it: the first two looks fall into it.
	blip = "0x27 1x7 0x25"
)

// metered is the healthy world with its metrics.
func metered(w *world) {
	for _, s := range []string{"frontend", "search", "geo"} {
		w.measure(golden(s, "errors:expected", "0.05x60"), golden(s, "latency_seconds:expected", "0.2x60"), golden(s, "requests:rate10s", "20x60"),
			golden(s, "errors:ratio10s", none), golden(s, "latency_seconds:p95_10s", "0.02x60"))
	}
	for _, d := range []string{"search", "geo", "mysql-geo"} {
		w.measure(`kube_deployment_spec_replicas{namespace="hotel",deployment="`+d+`"} `+one,
			`kube_deployment_status_replicas_available{namespace="hotel",deployment="`+d+`"} `+one,
			`kube_pod_status_ready{namespace="hotel",pod="`+d+`-1",condition="true"} `+one,
			`kube_pod_status_phase{namespace="hotel",pod="`+d+`-1",phase="Running"} `+one,
			`kube_pod_container_status_restarts_total{namespace="hotel",pod="`+d+`-1",container="a"} `+none,
			`up{namespace="hotel",service="`+d+`",pod="`+d+`-1"} `+one,
			`container_cpu_cfs_periods_total{namespace="hotel",pod="`+d+`-1",container="a"} 0+20x60`,
			`container_cpu_cfs_throttled_periods_total{namespace="hotel",pod="`+d+`-1",container="a"} 0+1x60`)
	}
	w.measure(rpc("search", "geo", "OK", "0.01"), rpc("frontend", "search", "OK", "0.01"), store("geo", "", "0.01"),
		`db_client_connection_count{namespace="hotel",service="geo",db_client_connection_state="used"} 2x60`,
		`db_client_connection_max{namespace="hotel",service="geo"} 16x60`)
}

// golden is a recorded signal of a service.
func golden(service, signal, values string) string {
	return fmt.Sprintf(`service:%s{namespace="hotel",service=%q,protocol="rpc"} %s`, signal, service, values)
}

// rpc are 20 calls a second that end with code: the caller waits up to wait seconds, the callee works up to 10 ms.
func rpc(caller, callee, code, wait string) string {
	peer := fmt.Sprintf(`rpc_service="hotel.%s",rpc_grpc_status_code=%q`, strings.ToUpper(callee[:1])+callee[1:], code)
	return calls("rpc_client_duration_seconds", fmt.Sprintf(`service=%q,`, caller)+peer, wait) +
		calls("rpc_server_duration_seconds", fmt.Sprintf(`service=%q,`, callee)+peer, "0.01")
}

// store are 20 operations a second on the MySQL store of a service.
func store(service, errorType, wait string) string {
	return calls("db_client_operation_duration_seconds", fmt.Sprintf(`service=%q,db_system_name="mysql",error_type=%q`, service, errorType), wait)
}

func calls(metric, labels, upTo string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s_count{namespace=\"hotel\",%s} 0+40x60\n", metric, labels)
	within := "0x60"
	for _, le := range []string{"0.005", "0.01", "0.1", "0.25", "0.5", "1", "2.5", "+Inf"} {
		if le == upTo {
			within = "0+40x60"
		}
		fmt.Fprintf(&b, "%s_bucket{namespace=\"hotel\",%s,le=%q} %s\n", metric, labels, le, within)
	}
	return b.String()
}

// stopped are the calls of text without anything that counts.
func stopped(text string) string { return strings.ReplaceAll(text, "0+40x60", none) }

func TestRulesOverMetrics(t *testing.T) {
	t.Parallel()
	const field = "spec.template.spec.containers[0].resources.limits."
	rolledOut := func(w *world, cpu, memory string) {
		w.deployments = strings.Replace(w.deployments, "geo 1 1 1", "geo 1 1 2", 1)
		w.sets = "geo 1 geo:1 1 160Mi\ngeo 2 geo:1 " + cpu + " " + memory + "\n"
	}
	throttle := `container_cpu_cfs_throttled_periods_total{namespace="hotel",pod="geo-1",container="a"} 0x20 0+15x40`
	scenes := []scene{
		{name: "healthy", breaks: func(*world) {}},
		{name: "errors for a moment, after a rollout", breaks: func(w *world) {
			w.measure(golden("geo", "errors:ratio10s", blip))
			rolledOut(w, "2", "160Mi")
		}},
		{name: "first errors ever for a moment, after a rollout", breaks: func(w *world) {
			w.measure(golden("geo", "errors:ratio10s", strings.Replace(blip, "0x27", "_x28", 1)))
			rolledOut(w, "2", "160Mi")
		}},
		{name: "first errors ever, that stay", breaks: func(w *world) {
			w.measure(golden("geo", "errors:ratio10s", strings.Replace(sinceNow, "0x26", "_x27", 1)))
		}, anomaly: true},
		{name: "slow for a moment, after a rollout", breaks: func(w *world) {
			w.measure(golden("geo", "latency_seconds:p95_10s", blip))
			rolledOut(w, "2", "160Mi")
		}},
		{name: "errors of a service without traffic", breaks: func(w *world) {
			w.measure(golden("geo", "errors:ratio10s", one), golden("geo", "requests:rate10s", "0.1x60"))
		}},
		{name: "errors that stay", breaks: func(w *world) { w.measure(golden("geo", "errors:ratio10s", sinceNow)) }, anomaly: true},
		{name: "slowness that stays", breaks: func(w *world) { w.measure(golden("geo", "latency_seconds:p95_10s", sinceNow)) }, anomaly: true},
		{name: "slow since a rollout", breaks: func(w *world) {
			w.measure(golden("geo", "latency_seconds:p95_10s", sinceNow))
			w.deployments, w.sets = strings.Replace(w.deployments, "geo 1 1 1", "geo 1 1 2", 1), otherImage
		}, anomaly: true, component: "Deployment/geo", mechanism: "slow-release", field: image, repair: "rollout undo deployment/geo"},
		{name: "errors since a rollout", breaks: func(w *world) {
			w.measure(golden("geo", "errors:ratio10s", sinceNow))
			w.deployments, w.sets = strings.Replace(w.deployments, "geo 1 1 1", "geo 1 1 2", 1), otherImage
		}, anomaly: true, component: "Deployment/geo", mechanism: "buggy-release", field: image, repair: "rollout undo deployment/geo"},

		{name: "store refuses the user", breaks: func(w *world) { w.measure(stopped(store("geo", "", "0.01")), store("geo", "1142", "0.01")) },
			anomaly: true, component: "Deployment/mysql-geo", mechanism: "permission-revoked"},
		{name: "store refuses the password", breaks: func(w *world) { w.measure(stopped(store("geo", "", "0.01")), store("geo", "1045", "0.01")) },
			anomaly: true, component: "Deployment/mysql-geo", mechanism: "credentials-invalid"},
		{name: "store refuses, and the traces look cut off", breaks: func(w *world) {
			w.measure(stopped(store("geo", "", "0.01")), store("geo", "1142", "0.01"))
			w.alerts, w.graph = geoErrors, `[{"caller":"geo","callee":"mysql-geo","calls":50,"errors":49,"p50Ms":1}]`
		}, anomaly: true, component: "Deployment/mysql-geo", mechanism: "permission-revoked"},
		{name: "store does not answer", breaks: func(w *world) { w.measure(stopped(store("geo", "", "0.01")), store("geo", "timeout", "2.5")) },
			anomaly: true, component: "Deployment/mysql-geo", mechanism: "network-partition"},
		{name: "store is down", breaks: func(w *world) {
			w.measure(stopped(store("geo", "", "0.01")), store("geo", "error", "0.01"))
			w.deployments = strings.Replace(w.deployments, "mysql-geo 1 1", "mysql-geo 1 <none>", 1)
		}, anomaly: true, component: "Deployment/mysql-geo", mechanism: "dependency-down"},
		{name: "store refuses for a reason that nobody knows", breaks: func(w *world) {
			w.measure(stopped(store("geo", "", "0.01")), store("geo", "9999", "0.01"))
		}, anomaly: true},
		{name: "all connections in use", breaks: func(w *world) {
			w.measure(`db_client_connection_count{namespace="hotel",service="geo",db_client_connection_state="used"} 2x20 16x40`)
		}, anomaly: true, component: "Deployment/geo", mechanism: "connection-exhaustion"},

		{name: "slow on the way to and from one node", breaks: func(w *world) {
			w.measure(golden("search", "latency_seconds:p95_10s", one), rpc("search", "geo", "OK", "0.5"), store("geo", "", "0.5"))
		}, anomaly: true, component: "Node/node-2", mechanism: "network-delay", repair: "cordon node-2"},
		{name: "one slow pair alone accuses no node", breaks: func(w *world) {
			w.measure(golden("geo", "latency_seconds:p95_10s", one), stopped(rpc("search", "geo", "OK", "0.01")), store("geo", "", "0.5"))
			w.graph = `[{"caller":"geo","callee":"mysql-geo","calls":50,"p50Ms":301}]`
		}, anomaly: true},

		{name: "throttled and slow", breaks: func(w *world) { w.measure(throttle, golden("geo", "latency_seconds:p95_10s", one)) },
			anomaly: true, component: "Deployment/geo", mechanism: "cpu-exhaustion"},
		{name: "throttled since a rollout with a lower limit", breaks: func(w *world) {
			w.measure(throttle, golden("geo", "latency_seconds:p95_10s", one))
			rolledOut(w, "50m", "160Mi")
		}, anomaly: true, component: "Deployment/geo", mechanism: "wrong-resource-limit", field: field + "cpu", repair: "rollout undo deployment/geo"},
		{name: "throttled and nobody minds", breaks: func(w *world) { w.measure(throttle) }},
		{name: "killed for its memory", breaks: func(w *world) {
			w.measure(`kube_pod_container_status_restarts_total{namespace="hotel",pod="geo-1",container="a"} 0x20 1x40`,
				`kube_pod_container_status_last_terminated_reason{namespace="hotel",pod="geo-1",container="a",reason="OOMKilled"} _x20 1x40`)
		}, anomaly: true, component: "Deployment/geo", mechanism: "memory-exhaustion"},
		{name: "killed for its memory since a rollout with a lower limit", breaks: func(w *world) {
			w.measure(`kube_pod_container_status_restarts_total{namespace="hotel",pod="geo-1",container="a"} 0x20 1x40`,
				`kube_pod_container_status_last_terminated_reason{namespace="hotel",pod="geo-1",container="a",reason="OOMKilled"} _x20 1x40`)
			rolledOut(w, "1", "16Mi")
		}, anomaly: true, component: "Deployment/geo", mechanism: "wrong-resource-limit", field: field + "memory", repair: "rollout undo deployment/geo"},
		{name: "killed for its memory long ago", breaks: func(w *world) {
			w.measure(`kube_pod_container_status_restarts_total{namespace="hotel",pod="geo-1",container="a"} 1x60`,
				`kube_pod_container_status_last_terminated_reason{namespace="hotel",pod="geo-1",container="a",reason="OOMKilled"} 1x60`)
		}},
		{name: "a probe fails a pod that works", breaks: func(w *world) {
			w.measure(`kube_pod_status_ready{namespace="hotel",pod="geo-1",condition="true"} 1x20 0x40`)
			w.events = "Warning Unhealthy pod/geo-1 Readiness probe failed: dial tcp 10.0.0.1:9999: connect: connection refused"
		}, anomaly: true, component: "Deployment/geo", mechanism: "wrong-probe"},
		{name: "a probe is right about a pod whose calls are lost", breaks: func(w *world) {
			w.measure(`kube_pod_status_ready{namespace="hotel",pod="search-1",condition="true"} 1x20 0x40`,
				stopped(rpc("search", "geo", "OK", "0.01")), rpc("search", "geo", "Unavailable", "1"))
			w.events = "Warning Unhealthy pod/search-1 Readiness probe failed: service unhealthy"
		}, anomaly: true},
		{name: "not ready for a moment", breaks: func(w *world) {
			w.measure(`kube_pod_status_ready{namespace="hotel",pod="geo-1",condition="true"} 1x27 0x7 1x25`)
			w.events = "Warning Unhealthy pod/geo-1 Readiness probe failed: timeout"
		}},
		{name: "replicas missing", breaks: func(w *world) {
			w.measure(`kube_deployment_status_replicas_available{namespace="hotel",deployment="geo"} 1x20 0x40`)
			w.deployments = strings.Replace(w.deployments, "geo 1 1", "geo 1 <none>", 1)
		}, anomaly: true, component: "Deployment/geo", mechanism: "pod-failure"},
		{name: "another namespace is sick", breaks: func(w *world) {
			w.measure(strings.ReplaceAll(store("geo", "1142", "0.01"), "hotel", "other"))
		}},
	}
	for i, tc := range scenes {
		scenes[i].breaks = func(w *world) {
			metered(w)
			tc.breaks(w)
		}
	}
	play(t, scenes)
}
