package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/etcd/server/v3/embed"

	"github.com/gameday-bench/gameday/internal/unexported"
	"github.com/gameday-bench/gameday/orchestrator/cluster/embedded/controlplane/flags"
)

const (
	// etcdStart is how long etcd may take to elect itself.
	etcdStart = 30 * time.Second
	// etcdTick is the member's clock: it counts what its peers would need to hear, and there are none. So it is slow, since every tick wakes
	// two goroutines. A lease of etcd is at least seven ticks long.
	etcdTick = 500 * time.Millisecond
	// electionTick is the same until the member has elected itself, which takes up to five ticks.
	electionTick = 10 * time.Millisecond
	// etcdCommit is how long changes may lie in memory and in the log before they are written to the database, and etcdBatch how many: what is
	// not written yet is copied by each reader, at least as much as 512 keys take.
	etcdCommit = 500 * time.Millisecond
	etcdBatch  = 500
)

// startEtcd starts etcd on unix sockets and returns when it serves. A data directory that exists is used again.
func (p *plane) startEtcd(ctx context.Context) (*embed.Etcd, error) {
	client := url.URL{Scheme: "unix", Path: flags.EtcdSocket(p.spec)}
	peer := url.URL{Scheme: "unix", Path: flags.EtcdPeerSocket(p.spec)}
	for _, s := range []url.URL{client, peer} {
		if err := os.Remove(s.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("remove stale socket: %w", err)
		}
	}
	cfg := embed.NewConfig()
	cfg.Dir = filepath.Join(p.spec.Dir, "etcd")
	cfg.ListenClientUrls, cfg.ListenPeerUrls = []url.URL{client}, []url.URL{peer}
	// A member must advertise hosts and ports. Nothing listens there, and nobody asks for them.
	advertise := func(port int) []url.URL { return []url.URL{{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}} }
	cfg.AdvertiseClientUrls = advertise(p.spec.Ports.EtcdClient)
	cfg.AdvertisePeerUrls = advertise(p.spec.Ports.EtcdPeer)
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.LogLevel = "fatal"
	cfg.EnableGRPCGateway = false
	// The data lives as long as the cluster's processes: a crash of the machine may lose it.
	cfg.UnsafeNoFsync = true
	cfg.TickMs, cfg.ElectionMs = uint(etcdTick.Milliseconds()), uint(5*etcdTick.Milliseconds())
	cfg.BackendBatchInterval, cfg.BackendBatchLimit = etcdCommit, etcdBatch
	cfg.AutoCompactionMode, cfg.AutoCompactionRetention = "periodic", "10m"
	e, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	// A single member elects itself; there is nobody to wait for.
	clock, err := unexported.Get[*time.Ticker](e.Server, "r", "ticker")
	if err != nil {
		e.Close()
		return nil, fmt.Errorf("start etcd: find its clock: %w", err)
	}
	clock.Reset(electionTick)
	defer clock.Reset(etcdTick)
	p.background(ctx, "etcd", func() error {
		select {
		case err := <-e.Err():
			return err
		case <-ctx.Done():
			return nil
		}
	})
	select {
	case <-e.Server.ReadyNotify():
	case <-e.Server.StopNotify():
		return nil, errors.New("start etcd: it stopped at once")
	case <-time.After(etcdStart):
		e.Close()
		return nil, fmt.Errorf("start etcd: not ready after %v", etcdStart)
	}
	p.mark("etcd")
	return e, nil
}
