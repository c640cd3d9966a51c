package kind

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/orchestrator/cluster"
	"github.com/gameday-bench/gameday/orchestrator/cluster/record"
	"github.com/gameday-bench/gameday/orchestrator/preflight"
)

// What a cluster with the application under load needs, in bytes.
const (
	planeMemory  = 1 << 30 // the control plane, Chaos Mesh's controllers, and the application's stores and monitoring in part
	workerMemory = 400 << 20
	nodeDisk     = 1 << 30 // the images of programs, once per node, and what pods write
	imageDisk    = 2 << 30 // a node image that is not there yet, with what unpacking it takes
)

// Validate finds what is wrong with a request, or with the configuration file, in itself. The error is of party usage. No engine is asked.
func (p *Provider) Validate(want cluster.Spec) error {
	_, err := p.layout(want, want.Name, false)
	return err
}

// Check looks at everything that so many clusters like want need at the same time. It pulls no image, and makes nothing but a container of the
// node image that is gone at once, in which the kernel is tried. Where the engine does not answer, or the request is wrong in itself, what would
// come after is left out.
func (p *Provider) Check(ctx context.Context, want cluster.Spec, clusters int) []preflight.Check {
	s, checks, err := p.inspect(ctx, want, clusters)
	if err != nil && len(checks) == 0 {
		checks = []preflight.Check{preflight.Failed("request", errs.HintOf(err), "%v", err)}
	}
	if err == nil {
		checks = append(checks, p.checkKernel(ctx, s), p.checkChaos(ctx))
	}
	return checks
}

// site is an engine that answers, with what is to be made there.
type site struct {
	engine  engine
	machine machine
	layout  *layout
	// name is the cluster's, full what kind calls it.
	name, full string
	// absent are the node images that the engine does not have.
	absent []string
}

// inspect makes all checks, for a cluster whose name is complete. Without a site there is no engine that answers; the error says why.
func (p *Provider) inspect(ctx context.Context, want cluster.Spec, clusters int) (*site, []preflight.Check, error) {
	e, m, err := findEngine(ctx, p.Engine)
	if err != nil {
		return nil, []preflight.Check{preflight.Failed("container engine", errs.HintOf(err), "%v", err)}, err
	}
	s := &site{engine: e, machine: m, name: want.Name, full: ownPrefix() + want.Name}
	if s.layout, err = p.layout(want, s.full, m.cgroup1); err != nil {
		return nil, nil, err
	}
	checks := []preflight.Check{e.checkVersion(m), e.checkControlGroups(m)}
	image := s.checkImages(ctx)
	checks = append(checks, s.checkMemory(clusters), s.checkDisk(clusters), image)
	if want.Name != "" {
		checks = append(checks, s.checkName(ctx))
	}
	if p.Images != nil {
		checks = append(checks, p.checkPrograms())
	}
	return s, checks, nil
}

func (e engine) checkVersion(m machine) preflight.Check {
	const name = "container engine"
	if e.tooOld(m.version) {
		want := oldest()[e.name]
		return preflight.Failed(name, fmt.Sprintf("install %s %s or later", e.name, want), "%s %s is too old, want %s or later", e.name, m.version, want)
	}
	return preflight.Passed(name, "%s %s%s", e.name, m.version, map[bool]string{true: ", rootless"}[m.rootless])
}

func (e engine) checkControlGroups(m machine) preflight.Check {
	const name = "control groups"
	switch {
	case m.cgroup1 && m.rootless:
		return preflight.Failed(name, "mount control groups of version 2 (systemd.unified_cgroup_hierarchy=1), or use an engine that runs as root",
			"version 1: a rootless %s cannot limit what containers use", e.name)
	case m.cgroup1:
		return preflight.Noted(name, "prefer version 2: Kubernetes supports version 1 no longer",
			"version 1: the kubelets are told to run all the same (failCgroupV1: false)")
	}
	return preflight.Passed(name, "version 2")
}

func (s *site) checkMemory(clusters int) preflight.Check {
	const name = "memory"
	need := uint64(max(clusters, 1)) * (planeMemory + uint64(len(s.layout.nodes)-1)*workerMemory)
	have := s.machine.available()
	if have == 0 {
		return preflight.Noted(name, "see that there are "+size(need), "%s does not tell", s.engine.name)
	}
	if have < need {
		return preflight.Failed(name, "close other programs, ask for fewer nodes (--nodes), or lower --concurrency", "%s available, want %s", size(have), size(need))
	}
	return preflight.Passed(name, "%s available, want %s", size(have), size(need))
}

func (s *site) checkDisk(clusters int) preflight.Check {
	const name = "disk"
	need := uint64(max(clusters, 1))*uint64(len(s.layout.nodes))*nodeDisk + uint64(len(s.absent))*imageDisk
	have, known := s.machine.free()
	if !known {
		return preflight.Noted(name, "see that there are "+size(need), "it is not known how much room %s has", s.engine.name)
	}
	if have < need {
		return preflight.Failed(name, fmt.Sprintf("free some space, for example with: %s system prune; or ask for fewer nodes (--nodes)", s.engine.name),
			"%s: %s free, want %s", s.machine.root, size(have), size(need))
	}
	return preflight.Passed(name, "%s: %s free, want %s", s.machine.root, size(have), size(need))
}

// checkImages finds out which node images are not there. That is no finding against the machine: they are pulled.
func (s *site) checkImages(ctx context.Context) preflight.Check {
	const name = "node image"
	all := s.layout.images()
	for _, image := range all {
		if !s.engine.hasImage(ctx, image) {
			s.absent = append(s.absent, image)
		}
	}
	if len(s.absent) > 0 {
		return preflight.Noted(name, "pull it beforehand to save time, or name one that is there with --node-image",
			"%s is not here yet, and will be pulled", list(s.absent))
	}
	return preflight.Passed(name, "%s", list(all))
}

// checkName looks for a cluster of this name, also one of which only containers are left.
func (s *site) checkName(ctx context.Context) preflight.Check {
	const name = "name"
	hint := fmt.Sprintf("choose another name, or run: gameday delete cluster %s", s.name)
	if info, err := record.Find(s.name); err == nil {
		return preflight.Failed(name, hint, "%q is taken by a cluster of kind %s (%s)", s.name, info.Kind, info.Status)
	}
	found, err := s.engine.containers(ctx, s.full)
	if err != nil {
		return preflight.Failed(name, errs.HintOf(s.engine.explain(err)), "%v", err)
	}
	if len(found) > 0 {
		return preflight.Failed(name, hint, "%q is taken by what a killed process left: %s", s.name, strings.Join(found, ", "))
	}
	return preflight.Passed(name, "%q is free", s.name)
}

// checkPrograms looks for the binaries that the images are made of.
func (p *Provider) checkPrograms() preflight.Check {
	const name = "program images"
	set, err := p.Images()
	if err != nil {
		return preflight.Failed(name, errs.HintOf(err), "%v", err)
	}
	return preflight.Passed(name, "%d images", len(set.List()))
}

// checkError is nil where every required check is right; else it says which are not, with what to do as its hint.
func checkError(checks []preflight.Check) error {
	var wrong, hints []string
	for _, c := range checks {
		if !c.Required || c.OK {
			continue
		}
		wrong = append(wrong, c.Name+": "+c.Detail)
		if c.Hint != "" {
			hints = append(hints, c.Hint)
		}
	}
	if wrong == nil {
		return nil
	}
	return errs.Hint(errs.With(errs.Infra, errors.New(strings.Join(wrong, "; "))), "%s", strings.Join(slices.Compact(hints), "; "))
}

func size(bytes uint64) string {
	if bytes >= 1<<30 {
		return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
	}
	return fmt.Sprintf("%d MiB", bytes>>20)
}
