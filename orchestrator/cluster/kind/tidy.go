package kind

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
)

// apiPort is where the API server listens in the container of the control plane.
const apiPort = "6443"

// tidy takes the names of the containers, which tell of the harness, out of the objects that kubeadm and kind have made: agents may read
// them. The API server is then named by its address, for which its certificate is good as well.
func (c *Cluster) tidy(ctx context.Context) error {
	var plane node
	for _, n := range c.layout.nodes {
		if !n.worker {
			plane = n
		}
	}
	live, err := c.kube.CoreV1().Nodes().Get(ctx, plane.name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("get node %s: %w", plane.name, err)
	}
	address := internalIP(live)
	if address == "" {
		return fmt.Errorf("node %s has no address", plane.name)
	}
	// The first that fits wins: what has a port is an address.
	neutral := strings.NewReplacer(plane.container+":"+apiPort, address+":"+apiPort, plane.container, plane.name, c.full, "kubernetes")
	for _, at := range [][2]string{
		{metav1.NamespaceSystem, "kubeadm-config"}, {metav1.NamespaceSystem, "kube-proxy"}, {metav1.NamespacePublic, "cluster-info"},
	} {
		if err := c.tidyConfigMap(ctx, at[0], at[1], neutral); err != nil {
			return fmt.Errorf("update ConfigMap %s/%s: %w", at[0], at[1], err)
		}
	}
	if err := c.tidyDaemonSets(ctx, neutral); err != nil {
		return fmt.Errorf("update the DaemonSet of the pod network: %w", err)
	}
	if err := c.tidyRevisions(ctx, neutral); err != nil {
		return fmt.Errorf("remove the DaemonSet's old revisions: %w", err)
	}
	return nil
}

func internalIP(n *corev1.Node) string {
	for _, a := range n.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			return a.Address
		}
	}
	return ""
}

func (c *Cluster) tidyConfigMap(ctx context.Context, namespace, name string, neutral *strings.Replacer) error {
	client := c.kube.CoreV1().ConfigMaps(namespace)
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live, err := client.Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil // A user's configuration can leave parts of kubeadm's work out.
		}
		if err != nil {
			return err
		}
		changed := false
		for key, text := range live.Data {
			if clean := neutral.Replace(text); clean != text {
				live.Data[key], changed = clean, true
			}
		}
		if !changed {
			return nil
		}
		_, err = client.Update(ctx, live, metav1.UpdateOptions{})
		return err
	})
}

// tidyDaemonSets does the same for the environment of the pod network's pods, which kind tells where the API server is.
func (c *Cluster) tidyDaemonSets(ctx context.Context, neutral *strings.Replacer) error {
	client := c.kube.AppsV1().DaemonSets(metav1.NamespaceSystem)
	return retry.RetryOnConflict(retry.DefaultRetry, func() error {
		list, err := client.List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		for i := range list.Items {
			live, changed := &list.Items[i], false
			for k := range live.Spec.Template.Spec.Containers {
				env := live.Spec.Template.Spec.Containers[k].Env
				for v := range env {
					if clean := neutral.Replace(env[v].Value); clean != env[v].Value {
						env[v].Value, changed = clean, true
					}
				}
			}
			if !changed {
				continue
			}
			if _, err := client.Update(ctx, live, metav1.UpdateOptions{}); err != nil {
				return err
			}
		}
		return nil
	})
}

// revisionLimit bounds the wait for the controller of DaemonSets to have seen their new templates.
const revisionLimit = time.Minute

// tidyRevisions removes the old templates that DaemonSets keep: they have the names that were taken out. It waits until the new ones have been
// seen; a controller that has not would write the old ones again.
func (c *Cluster) tidyRevisions(ctx context.Context, neutral *strings.Replacer) error {
	err := until(ctx, c.clock, revisionLimit, func(ctx context.Context) (string, error) {
		list, err := c.kube.AppsV1().DaemonSets(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{})
		if err != nil {
			return "", fmt.Errorf("the API server does not list daemon sets: %w", err)
		}
		for i := range list.Items {
			if d := &list.Items[i]; d.Status.ObservedGeneration < d.Generation {
				return fmt.Sprintf("the new template of DaemonSet %s has not been seen", d.Name), nil
			}
		}
		return "", nil
	})
	if err != nil {
		return err
	}
	client := c.kube.AppsV1().ControllerRevisions(metav1.NamespaceSystem)
	list, err := client.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	for i := range list.Items {
		text := string(list.Items[i].Data.Raw)
		if neutral.Replace(text) == text {
			continue
		}
		if err := client.Delete(ctx, list.Items[i].Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
	}
	return nil
}

// renameHosts gives the containers of nodes the nodes' names as their host names: the API server's lease, and whatever else asks for it in a node,
// shows that. It lasts until the container is started again, and a node that cannot be named works all the same: that is only logged.
func (c *Cluster) renameHosts(ctx context.Context, nodes ...node) {
	for _, n := range nodes {
		if _, err := c.engine.run(ctx, "exec", "--privileged", n.container, "hostname", n.name); err != nil {
			c.log.WarnContext(ctx, "a node keeps the host name of its container, which agents may see", "node", n.name, "error", err)
		}
	}
}
