package embedded

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
)

// StopKubelet implements cluster.KubeletController. The kubelet is cut off from the API server, the container runtime, its probes and
// its clients; it keeps its memory.
func (c *Cluster) StopKubelet(ctx context.Context, node string) error {
	return c.order(ctx, node, spec.StopKubelet, nil)
}

// StartKubelet implements cluster.KubeletController.
func (c *Cluster) StartKubelet(ctx context.Context, node string) error {
	return c.order(ctx, node, spec.StartKubelet, nil)
}

// SetClock implements cluster.ClockController. A node that is restarted has the true time again.
func (c *Cluster) SetClock(ctx context.Context, node string, offset time.Duration) error {
	return c.order(ctx, node, spec.SetClock, url.Values{"offset": {offset.String()}})
}

// SetDeviceHealth implements cluster.DeviceController. A node that is restarted has healthy devices.
func (c *Cluster) SetDeviceHealth(ctx context.Context, node, resource, device string, healthy bool) error {
	health := "Unhealthy"
	if healthy {
		health = "Healthy"
	}
	return c.order(ctx, node, spec.SetDevice, url.Values{"resource": {resource}, "device": {device}, "health": {health}})
}

// orderTimeout bounds how long a node may take to do what it is told: one that hangs never does.
const orderTimeout = 10 * time.Second

// order tells a running node to do something.
func (c *Cluster) order(ctx context.Context, node, path string, query url.Values) error {
	if _, err := c.node(node); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", c.spec.ControlSocket(node))
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node"+path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return fmt.Errorf("make order for node %s: %w", node, err)
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return errs.With(errs.Infra, fmt.Errorf("reach node %s: %w", node, err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return errs.Newf(errs.Usage, "order node %s: %s", node, strings.TrimSpace(string(text)))
	}
	return nil
}
