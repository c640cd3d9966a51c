package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gameday-bench/gameday/orchestrator"
	"github.com/gameday-bench/gameday/results"
)

// sample is one trial on one kind of cluster, in seconds.
type sample struct {
	// wall is a whole run of gameday; the others are phases of its trial: until the cluster is ready, from there until the
	// application meets its objectives, and the end of the cluster.
	wall, cluster, app, end float64
}

// kindPatience is how much longer than a run on embedded one on kind may take.
const kindPatience = 3

// pair is the same measurement on kind and on embedded.
type pair struct{ kind, embedded []float64 }

// measureFresh plays single trials, each on a cluster of its own, on both kinds in turn.
func measureFresh(ctx context.Context, b *bench) error {
	p, err := b.player()
	if err != nil {
		return err
	}
	samples := map[string][]sample{}
	for i := range b.runs {
		for _, cluster := range []string{onEmbedded, onKind} {
			o, err := p.playOn(ctx, b, cluster, game{id: fmt.Sprintf("fresh-%s-%d", cluster, i+1), args: oneTrial(cluster)})
			if err != nil {
				return err
			}
			samples[cluster] = append(samples[cluster], sampleOf(o))
		}
	}
	if err := b.add(freshRows(samples[onKind], samples[onEmbedded])...); err != nil {
		return err
	}
	weights := map[string]int64{}
	for _, cluster := range []string{onEmbedded, onKind} {
		g := game{id: "weigh-" + cluster, args: oneTrial(cluster), weigh: true}
		if cluster == onKind {
			g.roots = func() []int { return nodeProcesses(ctx) }
		}
		o, err := p.playOn(ctx, b, cluster, g)
		if err != nil {
			return err
		}
		weights[cluster] = o.memory
	}
	return b.add(memoryRow(weights[onKind], weights[onEmbedded]))
}

// oneTrial is a run of one trial with an agent that does nothing.
func oneTrial(cluster string) []string {
	return slices.Concat([]string{"run", "hotel-wrong-target-port", "--agent", "nop"}, clusterFlags(cluster, os.Getenv), fresh(cluster))
}

// fresh is the flag that keeps a cluster from being used again, where there is one.
func fresh(cluster string) []string {
	if cluster == onKind {
		return []string{"--fresh"}
	}
	return nil
}

// clusterFlags choose the kind of cluster; for kind, with what hack/kindnode has made, where the environment says so.
func clusterFlags(cluster string, getenv func(string) string) []string {
	out := []string{"--cluster", cluster}
	if cluster != onKind {
		return out
	}
	for _, f := range [][2]string{
		{"--node-image", "GAMEDAY_KIND_NODE_IMAGE"}, {"--chaos-mesh-chart", "GAMEDAY_CHAOS_MESH_CHART"}, {"--chaos-mesh-images", "GAMEDAY_CHAOS_MESH_IMAGES"},
	} {
		if value := getenv(f[1]); value != "" {
			out = append(out, f[0], value)
		}
	}
	return out
}

// playOn plays a run whose trials have to be scored, and that leaves nothing behind.
func (p *player) playOn(ctx context.Context, b *bench, cluster string, g game) (outcome, error) {
	limit := b.limit
	if cluster == onKind {
		limit *= kindPatience
	}
	g.limit = time.After(limit)
	o, err := p.play(ctx, g)
	if err != nil {
		return o, err
	}
	if s := results.Summarize(o.data.Run, o.data.Trials); s.Scored != s.Planned || o.left.Count() > 0 {
		return o, fmt.Errorf("play run %s: trials %s; left behind: %s", g.id, counts(s.Statuses), o.left)
	}
	if cluster != onKind {
		return o, nil
	}
	left, err := nodeContainers(ctx)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("play run %s: left behind: %s", g.id, strings.Join(left, ", "))
	}
	return o, err
}

// sampleOf reads the one trial of a run.
func sampleOf(o outcome) sample {
	s := sample{wall: o.took.Seconds()}
	for _, r := range results.Latest(o.data.Trials) {
		phase := func(name orchestrator.Phase) float64 { return r.Phases[string(name)] }
		s.cluster, s.app, s.end = phase(orchestrator.Provision), phase(orchestrator.Deploy)+phase(orchestrator.Baseline), phase(orchestrator.Clean)
	}
	return s
}

// freshRows compare single trials.
func freshRows(kind, embedded []sample) []row {
	of := func(pick func(sample) float64) pair {
		var out pair
		for _, s := range kind {
			out.kind = append(out.kind, pick(s))
		}
		for _, s := range embedded {
			out.embedded = append(out.embedded, pick(s))
		}
		return out
	}
	return []row{
		of(func(s sample) float64 { return s.cluster }).row("kind: cluster ready, with the images and a Chaos Mesh that works", ""),
		of(func(s sample) float64 { return s.app }).row("kind: from there until application and telemetry are up and the objectives are met", ""),
		of(func(s sample) float64 { return s.end }).row("kind: end of the cluster", ""),
		of(func(s sample) float64 { return s.wall }).row("kind: one trial without the agent on a fresh cluster, process start included", ""),
	}
}

// row is a comparison as a row: the median on kind, and what it is to that on embedded.
func (p pair) row(name, note string) row {
	kind, embedded := results.Describe(p.kind).Median, results.Describe(p.embedded).Median
	var runs []string
	for _, v := range p.kind {
		runs = append(runs, fmt.Sprintf("%.1f", v))
	}
	text := fmt.Sprintf("runs: %s; embedded %.1f s; %s", strings.Join(runs, " "), embedded, times(kind, embedded))
	if note != "" {
		text += "; " + note
	}
	return row{Name: name, Target: "-", Measured: fmt.Sprintf("%.1f s", kind), Met: true, Note: text}
}

// times is how often b goes into a.
func times(a, b float64) string {
	if b <= 0 {
		return "no ratio"
	}
	return fmt.Sprintf("%.1f times embedded", a/b)
}

// memoryRow compares the most memory at one time during a trial. The processes of containers belong to root: to anybody else they
// weigh nothing, and that is no figure.
func memoryRow(kind, embedded int64) row {
	r := row{
		Name: "kind: memory (PSS) of gameday and of all processes in its node containers, the most during a trial", Target: "-", Met: true,
		Measured: mebibytes(kind), Note: fmt.Sprintf("embedded %s; %s; the container engine itself is not in it", mebibytes(embedded), times(float64(kind), float64(embedded))),
	}
	if os.Geteuid() != 0 {
		r.Measured, r.Note = "unknown", "only root may read the memory of containers; embedded "+mebibytes(embedded)
	}
	return r
}

// measureReused plays several trials in one run: on kind they share a cluster, on embedded each has its own.
func measureReused(ctx context.Context, b *bench) error {
	p, err := b.player()
	if err != nil {
		return err
	}
	outcomes := map[string]outcome{}
	for _, cluster := range []string{onEmbedded, onKind} {
		args := slices.Concat([]string{"run", "hotel-wrong-target-port", "hotel-scaled-to-zero", "--agent", "nop", "--twins"}, clusterFlags(cluster, os.Getenv))
		if outcomes[cluster], err = p.playOn(ctx, b, cluster, game{id: "reused-" + cluster, args: args}); err != nil {
			return err
		}
	}
	rows, err := reusedRows(outcomes[onKind], outcomes[onEmbedded])
	if err != nil {
		return err
	}
	return b.add(rows...)
}

// reusedRows compare the trials of two runs but the first, for which kind brings up its cluster, and the runs as a whole.
func reusedRows(kind, embedded outcome) ([]row, error) {
	later := pair{kind: laterOverheads(kind.data.Trials), embedded: laterOverheads(embedded.data.Trials)}
	if len(later.kind) == 0 || len(later.embedded) == 0 {
		return nil, fmt.Errorf("compare trials: %d and %d of them came after the first", len(later.kind), len(later.embedded))
	}
	whole := pair{kind: []float64{kind.took.Seconds()}, embedded: []float64{embedded.took.Seconds()}}
	summary := results.Summarize(kind.data.Run, kind.data.Trials)
	return []row{
		later.row("kind: one trial without the agent on a cluster that is used again", "on embedded each has a cluster of its own"),
		whole.row(fmt.Sprintf("kind: a run of %d trials", summary.Planned), fmt.Sprintf("tried again: %d", summary.Retries)),
	}, nil
}

// laterOverheads are the seconds of each scored trial but the first to start, the agent's work excluded.
func laterOverheads(records []results.TrialRecord) []float64 {
	latest := results.Latest(records)
	slices.SortStableFunc(latest, func(a, b results.TrialRecord) int { return a.StartedAt.Compare(b.StartedAt) })
	var out []float64
	for i, r := range latest {
		if i > 0 && r.Status.Scored() {
			out = append(out, r.OverheadSeconds)
		}
	}
	return out
}
