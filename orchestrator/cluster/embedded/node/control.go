package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/spec"
	"github.com/gameday-bench/gameday/workloads/program/sandbox"
)

// control is what the parent can ask of a running node, as HTTP on a unix socket.
type control struct {
	kubelet *kubeletNode
}

// serveControl listens on the node's control socket until ctx ends.
func serveControl(ctx context.Context, cluster *spec.Cluster, k *kubeletNode, log *slog.Logger) error {
	socket := cluster.ControlSocket(k.node.Name)
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("listen on control socket: %w", err)
	}
	l, err := net.Listen("unix", socket) //nolint:noctx // To make a socket is not to wait.
	if err != nil {
		return fmt.Errorf("listen on control socket: %w", err)
	}
	c := &control{kubelet: k}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+spec.StopKubelet, c.stopKubelet)
	mux.HandleFunc("POST "+spec.StartKubelet, c.startKubelet)
	mux.HandleFunc("POST "+spec.SetDevice, c.setDevice)
	mux.HandleFunc("POST "+spec.SetClock, c.setClock)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = s.Close() })
	go func() {
		if err := s.Serve(l); err != nil && ctx.Err() == nil {
			log.Error("serve control socket", "error", err)
		}
	}()
	return nil
}

func (c *control) stopKubelet(http.ResponseWriter, *http.Request) { c.kubelet.gate.shut() }

func (c *control) startKubelet(http.ResponseWriter, *http.Request) {
	if c.kubelet.gate.reopen() {
		c.kubelet.relists.hurry() // Much may have changed meanwhile.
		c.kubelet.kubelet.BirthCry()
	}
}

func (c *control) setClock(w http.ResponseWriter, req *http.Request) {
	offset, err := time.ParseDuration(req.URL.Query().Get("offset"))
	if err == nil {
		err = c.kubelet.runtime.SetNodeClocks(sandbox.ClockOffsets{Wall: offset})
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
	}
}

func (c *control) setDevice(w http.ResponseWriter, req *http.Request) {
	q := req.URL.Query()
	if err := c.kubelet.devices.setHealth(q.Get("resource"), q.Get("device"), q.Get("health")); err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
	}
}
