package kind

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
)

const (
	// prefix is what the names of all our containers and networks begin with.
	prefix = "gameday-"
	// networkLabel names the owner of a network.
	networkLabel = "dev.gameday.owner"
)

// OwnerTag stands for a directory of records on this machine, of this user: two users of one engine, or two runtime directories of one user,
// have different ones. Containers and clusters whose records are in that directory are called gameday-TAG-NAME in the engine, and their
// network has the label dev.gameday.owner=TAG.
func OwnerTag(records string) string {
	host, _ := os.ReadFile("/etc/machine-id") // Without it, users of one engine on several machines share nothing but luck.
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", host, os.Getuid(), records))
	return hex.EncodeToString(sum[:3])
}

// ownerTag is that of the directory of records of this process.
func ownerTag() string { return OwnerTag(record.BaseDir()) }

// ownPrefix is what the names of this owner's clusters begin with, as kind knows them.
func ownPrefix() string { return prefix + ownerTag() + "-" }

// networkName is the network of all clusters of this owner: kind's own is for the user's clusters.
func networkName() string { return prefix + ownerTag() }

// networkVariable is by what kind learns of a network other than its own: it has no option for it. Of nerdctl it takes none.
func (e engine) networkVariable() string {
	return map[string]string{docker: "KIND_EXPERIMENTAL_DOCKER_NETWORK", podman: "KIND_EXPERIMENTAL_PODMAN_NETWORK"}[e.name]
}

// making keeps two clusters of this process from making the network at the same time.
var making sync.Mutex

// joinNetwork makes the network of this owner's clusters, where it is not there yet, and has kind use it. The network stays at least until
// the lease that it returns is ended; nil where there is nothing to keep.
func (e engine) joinNetwork(ctx context.Context) (*networkLease, error) {
	variable := e.networkVariable()
	if name := os.Getenv(variable); variable == "" || name != "" && name != networkName() {
		return nil, nil // The user has chosen one, or must make do with kind's.
	}
	lease, err := e.leaseNetwork(ctx)
	if err != nil {
		return nil, err
	}
	making.Lock()
	defer making.Unlock()
	if err := e.ensureNetwork(ctx, networkName()); err != nil {
		lease.end()
		return nil, err
	}
	// Every cluster of this process is to be in this network: the value is always the same.
	if err := os.Setenv(variable, networkName()); err != nil {
		lease.end()
		return nil, fmt.Errorf("name the network for kind: %w", err)
	}
	return lease, nil
}

func (e engine) ensureNetwork(ctx context.Context, name string) error {
	found, err := e.networks(ctx)
	if err != nil || slices.Contains(found, name) {
		return err
	}
	args := []string{"network", "create", "--driver", "bridge", "--label", networkLabel + "=" + ownerTag()}
	if e.name == docker {
		args = append(args, "--opt", "com.docker.network.bridge.enable_ip_masquerade=true")
		// A machine whose links carry less than Ethernet says so for its default network.
		out, err := e.run(ctx, "network", "inspect", "bridge", "--format", `{{index .Options "com.docker.network.driver.mtu"}}`)
		if mtu := strings.TrimSpace(out); err == nil && mtu != "" && mtu != "<no value>" {
			args = append(args, "--opt", "com.docker.network.driver.mtu="+mtu)
		}
	}
	_, err = e.run(ctx, append(args, name)...)
	return err
}

// networks are this owner's networks by their label.
func (e engine) networks(ctx context.Context) ([]string, error) {
	out, err := e.run(ctx, "network", "ls", "--filter", "label="+networkLabel+"="+ownerTag(), "--format", "{{.Name}}")
	return lines(out), err
}

// pruneNetwork removes this owner's networks, unless a cluster uses them.
func (e engine) pruneNetwork(ctx context.Context) error {
	if e.networkVariable() == "" {
		return nil
	}
	found, err := e.networks(ctx)
	if err != nil || len(found) == 0 {
		return err
	}
	f, err := openLock(e)
	if err != nil {
		return err
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil // Somebody has a lease.
	}
	clusters, err := e.clusters(ctx)
	if err != nil || slices.ContainsFunc(clusters, func(c string) bool { return strings.HasPrefix(c, ownPrefix()) }) {
		return err // What a killed process left may be in it.
	}
	_, err = e.run(ctx, append([]string{"network", "rm"}, found...)...)
	return err
}

// networkLease keeps other processes from removing the network. It ends with the process that holds it, in whatever way.
type networkLease struct{ file *os.File }

func (e engine) leaseNetwork(ctx context.Context) (*networkLease, error) {
	f, err := openLock(e)
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB)
		if err == nil {
			return &networkLease{f}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", f.Name(), err), f.Close())
		}
		// Who removes the network needs a second.
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return nil, errors.Join(fmt.Errorf("wait for the network of the nodes: %w", err), f.Close())
		}
	}
}

// end lets the network go. It is idempotent, and nothing on nil.
func (l *networkLease) end() {
	if l != nil {
		_ = l.file.Close()
	}
}

func openLock(e engine) (*os.File, error) {
	if err := os.MkdirAll(record.BaseDir(), 0o700); err != nil {
		return nil, fmt.Errorf("make directory for clusters: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(record.BaseDir(), "."+e.name+"-network.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of the network: %w", err)
	}
	return f, nil
}
