package kind

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gameday-bench/gameday/faults"
	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
)

// kernelLimit bounds the look at the kernel, for which a container of the node image has to start.
const kernelLimit = 2 * time.Minute

// schedulers are the packet schedulers that faults need, which are capabilities by their names. They are modules of the kernel, and many small
// kernels do not have them.
func schedulers() []string { return []string{faults.Netem, faults.TBF} }

// kernelScript tries the schedulers on the container's own loopback device, and prints a line for each: its name, the exit code of tc, and what
// tc said. Codes: 0 for a scheduler that works, 2 for what the kernel refuses.
const kernelScript = `set -f
for one in "netem delay 1ms" "tbf rate 1mbit burst 32kbit latency 400ms"; do
	said=$(tc qdisc add dev lo root $one 2>&1)
	echo "${one%% *}" $? $said
	tc qdisc del dev lo root 2>/dev/null
done
true`

// kernel is what is known of the kernel that all nodes share. Its methods are safe for concurrent use.
type kernel struct {
	mu sync.Mutex
	// lacks are the schedulers that it does not have, with what it said; nil as long as nobody knows.
	lacks map[string]string
}

// known returns what the kernel lacks, with its own words; false where nobody knows yet.
func (k *kernel) known() (map[string]string, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.lacks), k.lacks != nil
}

// whyNot is what the kernel said about a scheduler that it lacks; "" where it has it, or nobody knows.
func (k *kernel) whyNot(scheduler string) string {
	lacks, _ := k.known()
	return lacks[scheduler]
}

func (k *kernel) learn(lacks map[string]string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.lacks = lacks
}

// look finds out what the kernel lacks, unless that is known. An error means that it cannot be told.
func (k *kernel) look(ctx context.Context, e engine, image string) error {
	if _, ok := k.known(); ok {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, kernelLimit, fmt.Errorf("not done within %s", kernelLimit))
	defer cancel()
	lacks, err := e.trySchedulers(ctx, image)
	if err != nil {
		return fmt.Errorf("try the packet schedulers of the kernel in a container of %s: %w", image, err)
	}
	k.learn(lacks)
	return nil
}

// The exit codes of run where the engine could not make a container, and where it could not start a command in one, of docker and podman
// alike (https://docs.docker.com/engine/containers/run/#exit-status).
const (
	notRun     = 125
	notInvoked = 126
)

// errNoContainer is for an engine that cannot run a privileged container, and so no node.
var errNoContainer = errors.New("no container can be started")

// trySchedulers tries the packet schedulers in a container of an image that is there. The container has a network of its own, ends by itself,
// and is gone then.
func (e engine) trySchedulers(ctx context.Context, image string) (map[string]string, error) {
	// A node is as privileged. Its kernel loads the modules that it has.
	out, err := e.transfer(ctx, "run", "--rm", "--privileged", "--network", "none", "--entrypoint", "sh", e.reference(image), "-c", kernelScript)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && (exit.ExitCode() == notRun || exit.ExitCode() == notInvoked) {
		return nil, fmt.Errorf("%w: %w", errNoContainer, err)
	}
	if err != nil {
		return nil, err
	}
	lacks, answered := map[string]string{}, map[string]bool{}
	for _, line := range lines(out) {
		name, rest, _ := strings.Cut(line, " ")
		code, said, _ := strings.Cut(rest, " ")
		switch {
		case !slices.Contains(schedulers(), name):
			continue
		case code == "2":
			lacks[name] = strings.TrimSuffix(strings.TrimSpace("tc qdisc add: "+said), ".")
		case code != "0":
			return nil, fmt.Errorf("tc ended with exit code %s: %s", code, said)
		}
		answered[name] = true
	}
	for _, name := range schedulers() {
		if !answered[name] {
			return nil, errors.New("it did not say anything about " + name)
		}
	}
	return lacks, nil
}

// lookAtKernel finds out what the kernel lacks. That it cannot be told is no error: Chaos Mesh then says so when it injects a fault. The error
// is for a ctx that has ended, and, of party infra, for an engine that cannot run nodes.
func (p *Provider) lookAtKernel(ctx context.Context, s *site) error {
	err := p.kernel.look(ctx, s.engine, s.layout.images()[0])
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	if errors.Is(err, errNoContainer) {
		return s.engine.explain(err)
	}
	p.log().Warn("it is not known which packet schedulers the kernel has", "error", err)
	return nil
}

// checkKernel says what the kernel lacks. That is no finding against the machine: the faults that need it are refused one by one.
func (p *Provider) checkKernel(ctx context.Context, s *site) preflight.Check {
	const name = "packet schedulers"
	image := s.layout.images()[0]
	if slices.Contains(s.absent, image) {
		return preflight.Noted(name, "look again when the node image is there", "they are tried in a container of the node image, which is not here yet")
	}
	err := p.kernel.look(ctx, s.engine, image)
	if errors.Is(err, errNoContainer) {
		return preflight.Failed("privileged containers", errs.HintOf(s.engine.explain(err)), "%v", err)
	}
	if err != nil {
		return preflight.Noted(name, "faults that need one say so when they are injected", "%v", err)
	}
	lacks, _ := p.kernel.known()
	var have, missing []string
	for _, scheduler := range schedulers() {
		if why, ok := lacks[scheduler]; ok {
			missing = append(missing, scheduler+" ("+why+")")
		} else {
			have = append(have, scheduler)
		}
	}
	if len(missing) > 0 {
		return preflight.Noted(name, "load the modules (sudo modprobe -a sch_netem sch_tbf) where the kernel has them; else run leaves out the problems that need them "+
			"with --skip-infeasible", "the kernel of the nodes does not have %s", strings.Join(missing, " and "))
	}
	return preflight.Passed(name, "%s", strings.Join(have, ", "))
}
