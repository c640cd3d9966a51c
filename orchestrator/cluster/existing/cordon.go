package existing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"slices"
	"strings"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// cordons are the nodes that an agent has cordoned. They are noted on the Lease before it happens, so that they take pods again
// whatever becomes of this process. Methods are safe for concurrent use.
type cordons struct {
	kube kubernetes.Interface

	mu    sync.Mutex
	nodes []string
}

// allow says why an agent may not change whether a node takes pods; "" where he may. One that somebody else has cordoned stays so.
func (c *cordons) allow(ctx context.Context, name string, unschedulable bool) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if slices.Contains(c.nodes, name) {
		return "", nil
	}
	node, err := c.kube.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return "", nil // The API server says so.
	case err != nil:
		return "", fmt.Errorf("get node %s: %w", name, err)
	case node.Spec.Unschedulable == unschedulable:
		return "", nil
	case !unschedulable:
		return fmt.Sprintf("node %s was cordoned by somebody else", name), nil
	}
	noted := append(slices.Clone(c.nodes), name)
	if err := note(ctx, c.kube, noted); err != nil {
		return "", err
	}
	c.nodes = noted
	return "", nil
}

// restore lets every node take pods again. The note goes with that, unless the Lease is gone, or, where ours is false, another run's.
func (c *cordons) restore(ctx context.Context, ours bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.nodes) == 0 {
		return nil
	}
	if err := uncordon(ctx, c.kube, c.nodes); err != nil {
		return err
	}
	c.nodes = nil
	if !ours {
		return nil
	}
	if err := note(ctx, c.kube, nil); !apierrors.IsNotFound(err) {
		return err
	}
	return nil
}

// uncordon lets nodes take pods again. One that is gone is done.
func uncordon(ctx context.Context, kube kubernetes.Interface, nodes []string) error {
	var all []error
	for _, name := range nodes {
		_, err := kube.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, []byte(`{"spec":{"unschedulable":null}}`), metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			all = append(all, fmt.Errorf("uncordon node %s: %w", name, err))
		}
	}
	return errors.Join(all...)
}

// note writes on the Lease which nodes are cordoned.
func note(ctx context.Context, kube kubernetes.Interface, nodes []string) error {
	var value any // null removes it
	if len(nodes) > 0 {
		value = strings.Join(nodes, ",")
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{cordonNote: value}}})
	if err != nil {
		return fmt.Errorf("encode the cordoned nodes: %w", err)
	}
	_, err = kube.CoordinationV1().Leases(Home).Patch(ctx, leaseName, types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("note the cordoned nodes: %w", err)
	}
	return nil
}

// readCordon reads a patch of a node: ok where it changes nothing but whether the node takes pods.
func readCordon(contentType string, body []byte) (unschedulable, ok bool) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false, false
	}
	switch types.PatchType(media) {
	case types.MergePatchType, types.StrategicMergePatchType:
		var patch map[string]map[string]json.RawMessage
		if json.Unmarshal(body, &patch) != nil || len(patch) != 1 || len(patch["spec"]) != 1 {
			return false, false
		}
		return readFlag(patch["spec"]["unschedulable"])
	case types.JSONPatchType:
		var ops []struct {
			Op    string          `json:"op"`
			Path  string          `json:"path"`
			Value json.RawMessage `json:"value"`
		}
		if json.Unmarshal(body, &ops) != nil || len(ops) != 1 || ops[0].Path != "/spec/unschedulable" {
			return false, false
		}
		switch ops[0].Op {
		case "add", "replace":
			return readFlag(ops[0].Value)
		case "remove":
			return false, true
		}
	}
	return false, false
}

// readFlag reads true, false or null, which is false.
func readFlag(raw json.RawMessage) (value, ok bool) {
	var flag *bool
	if len(raw) == 0 || json.Unmarshal(raw, &flag) != nil {
		return false, false
	}
	return flag != nil && *flag, true
}
