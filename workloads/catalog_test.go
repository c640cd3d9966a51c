package workloads_test

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/workloads"
)

func TestEmbeddedCatalogIsRight(t *testing.T) {
	t.Parallel()
	catalog, err := workloads.LoadCatalog(workloads.Embedded())
	require.NoError(t, err)
	require.Contains(t, catalog.IDs(), "hotel")
	for _, d := range catalog.All() {
		require.NotEmpty(t, d.SLOs)
		require.NotEmpty(t, d.Profiles)
		require.NotEmpty(t, d.Edges())
		app, err := d.App(nil)
		require.NoError(t, err)
		set, err := app.(workloads.Manifests).Objects("elsewhere")
		require.NoError(t, err)
		for _, o := range set {
			if ns := o.GetNamespace(); ns != "" {
				require.Equal(t, "elsewhere", ns, "%s", o.GetName())
			}
		}
	}
}

func TestLoadCatalogReportsEveryMistakeWithItsPlace(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"shop/app.yaml":      {Data: []byte("apiVersion: gameday.dev/v1\nkind: App\nid: store\ntitle: t\ndescription: d\nnamespace: shop\ncolour: red\n")},
		"shop/topology.yaml": {Data: []byte("apiVersion: gameday.dev/v1\nkind: Topology\ncomponents:\n  - {name: a, kind: Deployment, role: service, calls: [b]}\n")},
		"shop/slo.yaml":      {Data: []byte("apiVersion: gameday.dev/v1\nkind: SLOs\nobjectives:\n  - {name: x, type: latency, quantile: 2, threshold: 1s}\n")},
	}
	_, err := workloads.LoadCatalog(workloads.Source{FS: files, Prefix: "pack/apps"})
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	for _, want := range []string{
		"pack/apps/shop/app.yaml:7:1", "colour",
		"pack/apps/shop/topology.yaml:4:", `components[0].calls[0]: no component is called "b"`,
		"pack/apps/shop/slo.yaml:4:", "want a number in (0,1), got 2",
		"pack/apps/shop/load.yaml",
	} {
		require.ErrorContains(t, err, want)
	}
}
