package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/gameday-bench/gameday/internal/proctree"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

func up(ctx context.Context, nodes int) (*embedded.Cluster, error) {
	c, err := (&embedded.Provider{}).Up(ctx, cluster.Spec{Nodes: nodes})
	if err != nil {
		return nil, err
	}
	return c.(*embedded.Cluster), nil
}

// measureCluster times the start and the end of an empty cluster of three nodes.
func measureCluster(ctx context.Context, b *bench) error {
	var ups, downs []time.Duration
	var memory int64
	for range b.runs {
		began := time.Now()
		c, err := up(ctx, 3)
		if err != nil {
			return err
		}
		ups = append(ups, time.Since(began))
		memory, _ = treeMemory()
		dir := c.Spec().Dir
		began = time.Now()
		if err := c.Down(ctx); err != nil {
			return err
		}
		downs = append(downs, time.Since(began))
		if left, err := leftovers(dir); left != "" || err != nil {
			return errors.Join(err, fmt.Errorf("left behind: %s", left))
		}
	}
	upTime, downTime := median(ups), median(downs)
	return b.add(
		row{Name: "cluster ready, 1 control plane + 3 nodes", Target: "<= 6 s", Measured: seconds(upTime), Met: upTime <= 6*time.Second, Note: "runs: " + list(ups)},
		row{Name: "memory of the empty cluster (PSS)", Target: "-", Measured: mebibytes(memory), Met: true},
		row{Name: "tear-down, nothing left behind", Target: "<= 2 s", Measured: seconds(downTime), Met: downTime <= 2*time.Second, Note: "runs: " + list(downs)},
	)
}

// treeMemory is the memory of all our descendants, and how it is shared out.
func treeMemory() (int64, []proctree.Share) {
	table, err := proctree.Table()
	if err != nil {
		return 0, nil
	}
	tree := proctree.Descendants(table, os.Getpid())[1:]
	return proctree.Measure(tree).PSS, proctree.ByName(tree)
}

func mebibytes(bytes int64) string { return fmt.Sprintf("%d MiB", bytes>>20) }

// leftovers says what a cluster that is down has left.
func leftovers(dir string) (string, error) {
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	table, err := proctree.Table()
	if err != nil {
		return "", err
	}
	for _, p := range proctree.Descendants(table, os.Getpid())[1:] {
		return fmt.Sprintf("process %d (%s)", p.PID, p.Name), nil
	}
	return "", nil
}

// measurePods starts 300 small pods on three nodes.
func measurePods(ctx context.Context, b *bench) error {
	const pods = 300
	c, err := up(ctx, 3)
	if err != nil {
		return err
	}
	defer func() { _ = c.Down(context.WithoutCancel(ctx)) }()
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	began := time.Now()
	if err := deployPause(ctx, client, pods); err != nil {
		return err
	}
	ready := int32(0)
	for ready < pods && ctx.Err() == nil {
		d, err := client.AppsV1().Deployments("default").Get(ctx, "small", metav1.GetOptions{})
		if err == nil {
			ready = d.Status.ReadyReplicas
		}
		time.Sleep(100 * time.Millisecond)
	}
	took := time.Since(began)
	memory, shares := treeMemory()
	return b.add(row{
		Name: "300 small pods on 3 nodes, all Ready", Target: "<= 60 s", Measured: fmt.Sprintf("%d Ready in %s", ready, seconds(took)),
		Met: ready == pods && took <= time.Minute, Note: fmt.Sprintf("%s in all; %s", mebibytes(memory), describe(shares)),
	})
}

func describe(shares []proctree.Share) string {
	out := ""
	for i, s := range shares {
		if i == 4 {
			break
		}
		out += fmt.Sprintf("%s x%d %s, ", s.Name, s.Processes, mebibytes(s.PSS))
	}
	return out
}

func deployPause(ctx context.Context, client kubernetes.Interface, replicas int32) error {
	labels := map[string]string{"app": "small"}
	_, err := client.AppsV1().Deployments("default").Create(ctx, &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "small"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "pause", Image: "registry.local/pause:3.10",
					Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
						corev1.ResourceCPU: resource.MustParse("10m"), corev1.ResourceMemory: resource.MustParse("8Mi"),
					}},
				}}},
			},
		},
	}, metav1.CreateOptions{})
	return err
}

// measureParallel starts empty clusters side by side.
func measureParallel(ctx context.Context, b *bench) error {
	const want = 16
	began := time.Now()
	clusters, err := several(ctx, want, func(ctx context.Context) (*embedded.Cluster, error) { return up(ctx, 3) })
	took := time.Since(began)
	memory, _ := treeMemory()
	for _, c := range clusters {
		err = errors.Join(err, c.Down(context.WithoutCancel(ctx)))
	}
	return errors.Join(err, b.add(row{
		Name: "parallel empty clusters", Target: ">= 16", Measured: fmt.Sprintf("%d in %s", len(clusters), seconds(took)),
		Met: len(clusters) >= want, Note: mebibytes(memory) + " in all",
	}))
}

// several brings up n clusters, two at a time, and returns those that came up.
func several(ctx context.Context, n int, start func(context.Context) (*embedded.Cluster, error)) ([]*embedded.Cluster, error) {
	type outcome struct {
		cluster *embedded.Cluster
		err     error
	}
	tokens := make(chan struct{}, 2)
	outcomes := make(chan outcome, n)
	for range n {
		go func() {
			tokens <- struct{}{}
			defer func() { <-tokens }()
			c, err := start(ctx)
			outcomes <- outcome{c, err}
		}()
	}
	var up []*embedded.Cluster
	var all []error
	for range n {
		o := <-outcomes
		if o.err != nil {
			all = append(all, o.err)
			continue
		}
		up = append(up, o.cluster)
	}
	return up, errors.Join(all...)
}
