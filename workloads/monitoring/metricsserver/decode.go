package metricsserver

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/metrics-server/pkg/storage"
)

// decode reads a kubelet's answer to what was asked at asked. A node or a pod of which CPU or memory is missing is left out,
// as metrics-server leaves it out: half of its figures would be a wrong sum.
func decode(text []byte, node string, asked time.Time) (*storage.MetricsBatch, error) {
	parser, err := textparse.New(text, "text/plain", nil, textparse.ParserOptions{})
	if err != nil {
		return nil, fmt.Errorf("read metrics of node %s: %w", node, err)
	}
	var (
		machine storage.MetricsPoint
		pods    = map[types.NamespacedName]storage.PodMetricsPoint{}
		series  labels.Labels
	)
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read metrics of node %s: %w", node, err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		_, stamp, value := parser.Series()
		at := asked
		if stamp != nil {
			at = time.UnixMilli(*stamp)
		}
		parser.Labels(&series)
		name := series.Get(model.MetricNameLabel)
		switch name {
		case "node_cpu_usage_seconds_total", "node_memory_working_set_bytes":
			add(&machine, name[len("node_"):], value, at)
		case "container_cpu_usage_seconds_total", "container_memory_working_set_bytes", "container_start_time_seconds":
			pod := types.NamespacedName{Namespace: series.Get("namespace"), Name: series.Get("pod")}
			if pods[pod].Containers == nil {
				pods[pod] = storage.PodMetricsPoint{Containers: map[string]storage.MetricsPoint{}}
			}
			container := series.Get("container")
			point := pods[pod].Containers[container]
			add(&point, name[len("container_"):], value, at)
			pods[pod].Containers[container] = point
		}
	}
	out := &storage.MetricsBatch{Nodes: map[string]storage.MetricsPoint{}, Pods: map[types.NamespacedName]storage.PodMetricsPoint{}}
	if complete(machine) {
		out.Nodes[node] = machine
	}
	for name, pod := range pods {
		if whole(pod) {
			out.Pods[name] = pod
		}
	}
	return out, nil
}

// add enters one figure into point. CPU time is kept in nanoseconds, memory in bytes.
func add(point *storage.MetricsPoint, figure string, value float64, at time.Time) {
	switch figure {
	case "cpu_usage_seconds_total":
		point.CumulativeCpuUsed, point.Timestamp = uint64(value*1e9), at
	case "memory_working_set_bytes":
		point.MemoryUsage = uint64(value)
		if point.Timestamp.IsZero() { // The time of the CPU figure decides: a rate is taken over it.
			point.Timestamp = at
		}
	case "start_time_seconds":
		point.StartTime = time.Unix(0, int64(value*1e9))
	}
}

func complete(p storage.MetricsPoint) bool {
	return !p.Timestamp.IsZero() && p.CumulativeCpuUsed != 0 && p.MemoryUsage != 0
}

func whole(pod storage.PodMetricsPoint) bool {
	for _, c := range pod.Containers {
		if !complete(c) {
			return false
		}
	}
	return true
}
