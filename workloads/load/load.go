// Package load puts an application under load: an open-loop generator that runs in the cluster (package traffic), its
// deployment, and what it has measured.
package load

import (
	"context"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"time"

	"gopkg.in/yaml.v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/workloads"
	"github.com/gameday-bench/gameday/workloads/load/traffic"
	"github.com/gameday-bench/gameday/workloads/objects"
)

// Namespace is where the load generator lives.
const Namespace = "clients"

// Profile is one load; see package traffic.
type Profile = traffic.Profile

// Status is what the generator has done so far; see package traffic.
type Status = traffic.Status

//go:embed manifests/*.yaml
var files embed.FS

// Load is the load on one application, as an App: Deploy starts it, Remove ends it. It deploys into Env.Namespace.
type Load struct {
	profile   Profile
	namespace string
	clock     clock.PassiveClock
	start     time.Time
}

var _ workloads.App = (*Load)(nil)

// New returns the load that profile describes on the application in namespace.
func New(profile Profile, namespace string) *Load {
	return &Load{profile: profile, namespace: namespace, clock: clock.RealClock{}}
}

// Deploy implements workloads.App. The schedule begins now.
func (l *Load) Deploy(ctx context.Context, env workloads.Env) error {
	l.start = l.clock.Now().UTC()
	set, err := l.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.PullFrom(env.Registry).Apply(ctx, env.Dynamic)
}

// Ready implements workloads.App: the generator runs and requests have ended, whatever their outcome.
func (l *Load) Ready(ctx context.Context, env workloads.Env) error {
	set, err := l.Objects(env.Namespace)
	if err != nil {
		return err
	}
	if err := set.Ready(ctx, env.Dynamic, env.Kubernetes); err != nil {
		return err
	}
	var last error
	err = wait.PollUntilContextCancel(ctx, 250*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		s, err := GetStatus(ctx, env.Kubernetes, env.Namespace)
		if err != nil {
			last = err
			return false, nil //nolint:nilerr // It is asked again; the last error is what is reported.
		}
		all, _ := s.Sent()
		last = fmt.Errorf("%d requests were due, %d have ended", s.Due, all)
		return all > 0, nil
	})
	if err != nil {
		return fmt.Errorf("wait for the first requests: %w: %w", err, last)
	}
	return nil
}

// Remove implements workloads.App.
func (l *Load) Remove(ctx context.Context, env workloads.Env) error {
	set, err := l.Objects(env.Namespace)
	if err != nil {
		return err
	}
	return set.Remove(ctx, env.Dynamic)
}

// GetStatus asks the generator in namespace what it has done.
func GetStatus(ctx context.Context, k kubernetes.Interface, namespace string) (Status, error) {
	var s Status
	data, err := k.CoreV1().Services(namespace).ProxyGet("http", "traffic", fmt.Sprint(traffic.Port), "status", nil).DoRaw(ctx)
	if err != nil {
		return s, fmt.Errorf("ask the load generator: %w", err)
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read the load generator's status: %w", err)
	}
	return s, nil
}

// Objects returns the generator's objects in namespace, the namespace first.
func (l *Load) Objects(namespace string) (objects.Set, error) {
	p := l.profile
	var err error
	if p.Target, err = objects.Expand(p.Target, map[string]string{"namespace": l.namespace}); err != nil {
		return nil, fmt.Errorf("read the profile's target: %w", err)
	}
	profile, err := yaml.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write the profile: %w", err)
	}
	dir, err := fs.Sub(files, "manifests")
	if err != nil {
		return nil, fmt.Errorf("open manifests: %w", err)
	}
	set, err := objects.Load(dir, map[string]string{
		"image": traffic.Repository + ":" + traffic.Tag, "start": l.start.Format(time.RFC3339Nano),
		"startVariable": traffic.StartVariable, "port": fmt.Sprint(traffic.Port),
	})
	if err != nil {
		return nil, err
	}
	ns := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace"}}
	ns.SetName(namespace)
	config := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"profile.yaml": string(profile)},
	}}
	config.SetName("traffic-profile")
	return append(objects.Set{ns, config}, set...).In(namespace), nil
}
