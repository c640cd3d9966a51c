package reuse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/utils/clock"

	"github.com/gameday-bench/gameday/orchestrator/inventory"
)

const (
	// cleanLimit is how long what a trial made may take to go, at least: where a new cluster takes longer to come up, so may this.
	cleanLimit = 75 * time.Second
	cleanCheck = 500 * time.Millisecond
	// restoreTime is how long controllers may take to put back what only they can: a role that collects others, for example.
	restoreTime = 10 * time.Second
)

// clean removes what was made since the first inventory, uncordons nodes, and returns when the cluster holds what it held then. The error says
// why that is not so: an object of the cluster's own was changed or is gone, something does not go, or the cluster does not answer.
func (k *kept) clean(ctx context.Context, c clock.WithTicker) error {
	if err := k.cluster.Err(); err != nil {
		return err
	}
	limit := max(cleanLimit, k.took)
	deadline := c.NewTimer(limit)
	defer deadline.Stop()
	tick := c.NewTicker(cleanCheck)
	defer tick.Stop()
	asked := map[inventory.Key]bool{}
	var alone time.Time // since when there is nothing left that was made
	for {
		now, err := inventory.TakeWhole(ctx, k.client, k.resources)
		if err != nil {
			return err
		}
		changes := inventory.Diff(k.first.Inventory, now.Inventory)
		made := slices.ContainsFunc(changes, created)
		if err := k.uncordon(ctx, now, changes, asked); err != nil {
			return err
		}
		switch {
		case len(changes) == 0:
			return nil
		case made:
			alone = time.Time{}
			if err := k.sweep(ctx, now, changes, asked); err != nil {
				return err
			}
		case alone.IsZero():
			alone = c.Now()
		case c.Since(alone) >= restoreTime:
			return fmt.Errorf("it is not what it was: %s", brief(changes))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w; left: %s", context.Cause(ctx), brief(changes))
		case <-deadline.C():
			return fmt.Errorf("what was made is not gone after %s: %s", limit, brief(changes))
		case <-tick.C():
		}
	}
}

func created(c inventory.Change) bool { return c.Type == "created" }

// uncordon lets nodes take pods again that a trial has cordoned, once each: that is all that a cordon changes, its taint goes with it, and it is
// how most problems of nodes are repaired.
func (k *kept) uncordon(ctx context.Context, now *inventory.Whole, changes []inventory.Change, asked map[inventory.Key]bool) error {
	for _, c := range changes {
		if c.Key.Kind != "Node" || c.Field != "spec.unschedulable" || c.Before != nil || asked[c.Key] {
			continue
		}
		asked[c.Key] = true
		free := []byte(`{"spec":{"unschedulable":null}}`)
		_, err := k.client.Resource(now.Resources[c.Key]).Patch(ctx, c.Key.Name, types.MergePatchType, free, metav1.PatchOptions{})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("uncordon %s: %w", c.Key.Name, err)
		}
	}
	return nil
}

// brief is the beginning of a list of changes.
func brief(changes []inventory.Change) string {
	const shown = 5
	var out []string
	for _, c := range changes[:min(shown, len(changes))] {
		out = append(out, c.String())
	}
	if more := len(changes) - shown; more > 0 {
		out = append(out, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(out, "; ")
}

// sweep asks for the removal of everything that was made, once each, what keeps other things from going first. What is in a namespace that
// was made goes with it, and volumes with their claims.
func (k *kept) sweep(ctx context.Context, now *inventory.Whole, changes []inventory.Change, asked map[inventory.Key]bool) error {
	gone := map[string]bool{} // namespaces that go
	var keys []inventory.Key
	for _, c := range changes {
		if created(c) {
			keys = append(keys, c.Key)
			gone[c.Key.Name] = gone[c.Key.Name] || c.Key.Kind == "Namespace"
		}
	}
	slices.SortStableFunc(keys, func(a, b inventory.Key) int { return rank(now.Resources[a].Resource) - rank(now.Resources[b].Resource) })
	var all []error
	for _, key := range keys {
		gvr := now.Resources[key]
		if asked[key] || gone[key.Namespace] && key.Namespace != "" && gvr.Group != chaosGroup || gvr.Resource == "persistentvolumes" {
			continue
		}
		asked[key] = true
		var client dynamic.ResourceInterface = k.client.Resource(gvr)
		if key.Namespace != "" {
			client = k.client.Resource(gvr).Namespace(key.Namespace)
		}
		background := metav1.DeletePropagationBackground
		err := client.Delete(ctx, key.Name, metav1.DeleteOptions{PropagationPolicy: &background})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			all = append(all, fmt.Errorf("remove %s: %w", key, err))
			continue
		}
		if key.Kind == "Namespace" {
			all = append(all, k.hurry(ctx, key.Name))
		}
	}
	return errors.Join(all...)
}

// hurry ends the pods of a namespace that goes within a second: nobody waits for what they still have to say, and half a minute of grace, time
// after time, is most of what cleaning up takes.
func (k *kept) hurry(ctx context.Context, namespace string) error {
	pods, grace := schema.GroupVersionResource{Version: "v1", Resource: "pods"}, int64(1)
	err := k.client.Resource(pods).Namespace(namespace).DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &grace}, metav1.ListOptions{})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("end the pods of namespace %s: %w", namespace, err)
	}
	return nil
}

// chaosGroup is the API group of Chaos Mesh's objects: they undo what they do when they go, which takes pods that are there.
const chaosGroup = "chaos-mesh.org"

// rank orders removal: a webhook or an aggregated API without a server keeps namespaces from going.
func rank(resource string) int {
	switch resource {
	case "apiservices", "validatingwebhookconfigurations", "mutatingwebhookconfigurations", "validatingadmissionpolicybindings":
		return 0
	case "namespaces":
		return 2
	case "customresourcedefinitions":
		return 3
	}
	return 1
}
