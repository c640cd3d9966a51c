package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/gameday-bench/gameday/internal/proctree"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
)

// cycles makes a cluster, runs a pod to its end on it and removes the cluster, n times, and counts after each what is left
// in this process and on the machine.
func cycles(ctx context.Context, n int) ([]verdict, error) {
	b := newBook()
	began := time.Now()
	for i := range n {
		if err := cycle(ctx); err != nil {
			return nil, fmt.Errorf("cycle %d: %w", i+1, err)
		}
		if err := countCycle(b); err != nil {
			return nil, err
		}
		if (i+1)%20 == 0 {
			fmt.Fprintf(os.Stderr, "%d cycles in %s\n", i+1, time.Since(began).Round(time.Second))
		}
	}
	return b.verdicts(), nil
}

func cycle(ctx context.Context) (err error) {
	c, err := (&embedded.Provider{}).Up(ctx, cluster.Spec{Nodes: 2})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Down(context.WithoutCancel(ctx))) }()
	client, err := kubernetes.NewForConfig(c.RESTConfig())
	if err != nil {
		return fmt.Errorf("make client: %w", err)
	}
	return runPod(ctx, client)
}

// runPod runs a pod to its end.
func runPod(ctx context.Context, client kubernetes.Interface) error {
	pods := client.CoreV1().Pods(metav1.NamespaceDefault)
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "once"}, Spec: corev1.PodSpec{
		RestartPolicy: corev1.RestartPolicyNever,
		Containers:    []corev1.Container{{Name: "once", Image: "registry.local/library/busybox:1.36", Command: []string{"sh", "-c", "echo done > /tmp/x; cat /tmp/x"}}},
	}}
	// The namespace's service account may be a moment away.
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		_, err := pods.Create(ctx, pod, metav1.CreateOptions{})
		return err == nil, nil
	})
	if err != nil {
		return fmt.Errorf("create pod: %w", err)
	}
	err = wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		p, err := pods.Get(ctx, pod.Name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		if p.Status.Phase == corev1.PodFailed {
			return false, fmt.Errorf("the pod failed: %+v", p.Status)
		}
		return p.Status.Phase == corev1.PodSucceeded, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the pod: %w", err)
	}
	return nil
}

// countCycle counts what a cluster that is gone may have left.
func countCycle(b *book) error {
	runtime.GC()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	table, err := proctree.Table()
	if err != nil {
		return err
	}
	own := proctree.Descendants(table, os.Getpid())
	disk, entries, err := diskOf(embedded.BaseDir())
	if err != nil {
		return err
	}
	temporary, err := os.ReadDir(os.TempDir())
	if err != nil {
		return fmt.Errorf("read temporary directory: %w", err)
	}
	b.add(quantity{name: "cycles: heap of this process", share: 0.1, least: 4 << 20, bytes: true}, float64(memory.HeapAlloc))
	b.add(quantity{name: "cycles: open files of this process", least: 4}, float64(proctree.Measure(own[:1]).Files))
	b.add(quantity{name: "cycles: goroutines of this process", least: 10}, float64(runtime.NumGoroutine()))
	b.add(quantity{name: "cycles: processes left"}, float64(len(own)-1))
	b.add(quantity{name: "cycles: files left below the clusters' directory"}, float64(entries))
	b.add(quantity{name: "cycles: bytes left below the clusters' directory", bytes: true}, float64(disk))
	b.add(quantity{name: "cycles: entries of the temporary directory", least: 2}, float64(len(temporary)))
	return nil
}
