package faults_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/faults"
	_ "github.com/gameday-bench/gameday/faults/types"
	"github.com/gameday-bench/gameday/internal/errs"
)

const good = `apiVersion: gameday.dev/v1
kind: Fault
id: zero
title: t
description: d
type: kube
params:
  name: {description: d, required: true, example: geo}
  count: {description: d, default: "0"}
spec:
  target: {apiVersion: apps/v1, kind: Deployment, namespace: hotel, name: "${name}"}
  merge:
    spec:
      replicas: ${count}
  live:
    path: spec.replicas
    equals: ${count}
`

func load(text string) (*faults.Catalog, error) {
	return faults.LoadCatalog(faults.Source{FS: fstest.MapFS{"zero/fault.yaml": {Data: []byte(text)}, "other/notes.txt": {}}, Prefix: "pack"})
}

func TestLoadCatalog(t *testing.T) {
	t.Parallel()
	c, err := load(good)
	require.NoError(t, err)
	require.Equal(t, []string{"zero"}, c.IDs())
	entry, err := c.Get("zero")
	require.NoError(t, err)
	_, err = entry.New(map[string]string{"name": "geo", "count": "3"})
	require.NoError(t, err)
	_, err = entry.New(map[string]string{"nam": "geo"})
	require.ErrorContains(t, err, `fault zero: it has no parameter "nam", parameter "name" is required (parameters: count, name)`)
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	_, err = c.Get("zeros")
	require.ErrorContains(t, err, `"zeros"`)
	require.Contains(t, errs.HintOf(err), "zero")
	_, err = faults.LoadCatalog(faults.Directory("/nonexistent"))
	require.NoError(t, err, "a pack without faults is a pack")
}

func TestRequirements(t *testing.T) {
	t.Parallel()
	c, err := load(strings.Replace(good, "type: kube", "type: kube\nrequires: [node-failure, node-clock]", 1))
	require.NoError(t, err)
	entry, err := c.Get("zero")
	require.NoError(t, err)
	require.Equal(t, []string{faults.NodeFailure, faults.NodeClock}, entry.Requires)
	for _, capability := range faults.Capabilities() {
		require.Contains(t, faults.CapabilityNames(), capability.Name)
		require.Equal(t, capability.Meaning, faults.Meaning(capability.Name))
	}
	require.Equal(t, "warp-drive", faults.Meaning("warp-drive"))
}

func TestDigestIsOfTheFile(t *testing.T) {
	t.Parallel()
	digest := func(text, notes string) string {
		files := fstest.MapFS{"zero/fault.yaml": {Data: []byte(text)}, "zero/README.md": {Data: []byte(notes)}}
		c, err := faults.LoadCatalog(faults.Source{FS: files, Prefix: "pack"})
		require.NoError(t, err)
		entry, err := c.Get("zero")
		require.NoError(t, err)
		return entry.Digest
	}
	require.Regexp(t, `^sha256:[0-9a-f]{64}$`, digest(good, "a"))
	require.Equal(t, digest(good, "a"), digest(good, "b"))
	require.NotEqual(t, digest(good, "a"), digest(strings.Replace(good, "spec.replicas", "spec.paused", 1), "a"))
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, old, new, want string }{
		{"unknown field", "title: t", "titel: t", "pack/zero/fault.yaml:4:"},
		{"unknown type", "type: kube", "type: kub", `type: unknown fault type "kub"`},
		{"unknown field of the spec", "  live:", "  life:", "pack/zero/fault.yaml:15:3: spec.life:"},
		{"unknown capability", "type: kube", "type: kube\nrequires: [node-failure, node-schedulin]", `requires[1]: unknown capability "node-schedulin"; did you mean "node-scheduling"?`},
		{"unknown parameter", "${name}", "${nme}", "unknown parameter ${nme}"},
		{"no example", ", example: geo", "", "params.name: a required parameter needs an example"},
		{"two patches", "  merge:", "  strategic: {a: 1}\n  merge:", "want exactly one of patch, merge and strategic"},
		{"no predicate", "    equals: ${count}\n", "", "spec.live: want exactly one of equals, oneOf and absent"},
		{"other directory", "id: zero", "id: one", `"one" must be lower-case words joined by dashes, and the directory's name, "zero"`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, good, tc.old)
			_, err := load(strings.ReplaceAll(good, tc.old, tc.new))
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, errs.Usage, errs.PartyOf(err))
		})
	}
}

func TestRegisterPanics(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { faults.Register("kube", func(faults.Spec) (faults.Fault, error) { return nil, nil }) })
	require.Panics(t, func() { faults.Register("new", nil) })
	require.Equal(t, []string{"build", "chaosmesh", "kube", "sql"}, faults.Types())
}
