package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/gameday-bench/gameday/internal/proctree"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded"
	"github.com/gameday-bench/gameday/orchestrator/stack"
	"github.com/gameday-bench/gameday/workloads"
)

// underLoad keeps one cluster with the application under load and counts, again and again, what its processes take.
func underLoad(ctx context.Context, o options) (rows []verdict, err error) {
	apps, err := workloads.LoadCatalog(workloads.Embedded())
	if err != nil {
		return nil, err
	}
	app, err := apps.Get("hotel")
	if err != nil {
		return nil, err
	}
	up, err := (&embedded.Provider{}).Up(ctx, cluster.Spec{Nodes: 3})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, up.Down(context.WithoutCancel(ctx))) }()
	s, err := stack.New(stack.Params{App: app, Namespace: app.Namespace, Profile: "default", Rate: o.rate, REST: up.RESTConfig()})
	if err != nil {
		return nil, err
	}
	if err := s.Deploy(ctx); err != nil {
		return nil, err
	}
	client, err := kubernetes.NewForConfig(up.RESTConfig())
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	b := newBook()
	end := time.NewTimer(o.load)
	defer end.Stop()
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-up.Done():
			return nil, up.Err()
		case <-end.C:
			return b.verdicts(), nil
		case <-tick.C:
			if err := countLoad(ctx, b, up.(*embedded.Cluster), client); err != nil {
				return nil, err
			}
		}
	}
}

func countLoad(ctx context.Context, b *book, c *embedded.Cluster, client kubernetes.Interface) error {
	table, err := proctree.Table()
	if err != nil {
		return err
	}
	tree := proctree.Descendants(table, os.Getpid())[1:]
	usage := proctree.Measure(tree)
	b.add(quantity{name: "load: memory of the tree (PSS)", share: 0.1, least: 32 << 20, bytes: true}, float64(usage.PSS))
	for _, share := range proctree.ByName(tree) {
		b.add(quantity{name: "load: memory of " + share.Name, share: 0.15, least: 16 << 20, bytes: true}, float64(share.PSS))
	}
	b.add(quantity{name: "load: open files of the tree", share: 0.05, least: 20}, float64(usage.Files))
	b.add(quantity{name: "load: processes of the tree", least: 2}, float64(usage.Processes))
	paths := map[string]string{"control plane": "/metrics"}
	for _, n := range c.Spec().Nodes {
		paths[n.Name] = "/api/v1/nodes/" + n.Name + "/proxy/metrics"
	}
	for _, name := range append([]string{"control plane"}, nodeNames(c)...) {
		count, err := goroutines(ctx, client, paths[name])
		if err != nil {
			return fmt.Errorf("count goroutines of %s: %w", name, err)
		}
		b.add(quantity{name: "load: goroutines of " + name, share: 0.1, least: 50}, count)
	}
	return countDisk(b, c.Spec().Dir)
}

func nodeNames(c *embedded.Cluster) []string {
	var out []string
	for _, n := range c.Spec().Nodes {
		out = append(out, n.Name)
	}
	return out
}

var goroutineLine = regexp.MustCompile(`(?m)^go_goroutines (\S+)$`)

func goroutines(ctx context.Context, client kubernetes.Interface, path string) (float64, error) {
	data, err := client.CoreV1().RESTClient().Get().AbsPath(path).DoRaw(ctx)
	if err != nil {
		return 0, err
	}
	match := goroutineLine.FindSubmatch(data)
	if match == nil {
		return 0, errors.New("no metric go_goroutines")
	}
	return strconv.ParseFloat(string(match[1]), 64)
}

// countDisk counts the bytes below the cluster's directory, by its first folders: what a store, Prometheus or etcd has to
// keep grows with the requests it has served, which is not a leak, but is shown.
func countDisk(b *book, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read directory of the cluster: %w", err)
	}
	for _, e := range entries {
		size, _, err := diskOf(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		b.add(quantity{name: "load: disk of " + e.Name(), share: 0.1, least: 64 << 20, bytes: true}, float64(size))
	}
	return nil
}

// diskOf sums up what is below dir; nothing is there when dir is not.
func diskOf(dir string) (bytes int64, entries int, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if path == dir {
			return nil
		}
		entries++
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			bytes += info.Size()
		}
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("count what is on the disk: %w", err)
	}
	return bytes, entries, nil
}
