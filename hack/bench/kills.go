package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gameday-bench/gameday/hack/internal/kill"
	"github.com/gameday-bench/gameday/hack/internal/leftover"
)

// killSeed is that of the moments; make kill draws others.
const killSeed = 1

// measureKills kills each victim at random moments of real runs.
func measureKills(ctx context.Context, b *bench) error {
	reports, err := kill.Prove(ctx, kill.Options{
		Seed: killSeed, Rounds: b.killRounds, Agents: []string{"nop", "oracle"}, Attempts: 1,
		Say: func(text string) { fmt.Fprintln(os.Stderr, text) },
	})
	if len(reports) == 0 {
		return err
	}
	return errors.Join(err, b.add(killRow(reports, b.killRounds*len(kill.Victims()))))
}

// killRow sums up the rounds that were played.
func killRow(reports []kill.Report, planned int) row {
	var left leftover.Remains
	var failed []string
	before, after := 0, 0
	for _, r := range reports {
		before, after = before+r.Before, after+r.After
		left.Processes, left.Sockets = append(left.Processes, r.Left.Processes...), append(left.Sockets, r.Left.Sockets...)
		left.Files, left.Ports = append(left.Files, r.Left.Files...), append(left.Ports, r.Left.Ports...)
		if r.Err != nil {
			reason, _, _ := strings.Cut(r.Err.Error(), "\n")
			failed = append(failed, fmt.Sprintf("%s (%s): %s", r.Name, r.Place, reason))
		}
	}
	out := row{
		Name: "SIGKILL of gameday, control plane or node at random moments", Target: fmt.Sprintf("%d rounds hold, nothing left behind", planned),
		Measured: fmt.Sprintf("%d of %d held; %s processes, sockets, files, ports left; %d of %d finished trials intact",
			len(reports)-len(failed), planned, left.Cells(), after, before),
		Met: len(failed) == 0 && len(reports) == planned && left.Count() == 0 && after == before, Note: fmt.Sprintf("seed %d", killSeed),
	}
	if len(reports) < planned {
		out.Note += fmt.Sprintf("; %d rounds were played", len(reports))
	}
	if len(failed) > 0 {
		out.Note += "; failed: " + strings.Join(failed, "; ")
	}
	return out
}
