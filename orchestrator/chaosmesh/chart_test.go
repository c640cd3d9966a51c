package chaosmesh

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/gameday-bench/gameday/internal/errs"
)

// packed is the chart of testdata as an archive.
func packed(t *testing.T) string {
	t.Helper()
	ch, err := loader.Load("testdata/chart")
	require.NoError(t, err)
	file, err := chartutil.Save(ch, t.TempDir())
	require.NoError(t, err)
	return file
}

// chartServer serves a chart, a text, a failure, and a chart that is another one.
func chartServer(t *testing.T) *httptest.Server {
	t.Helper()
	file := packed(t)
	ch, err := loader.Load("testdata/chart")
	require.NoError(t, err)
	ch.Metadata.Name = "other"
	other, err := chartutil.Save(ch, t.TempDir())
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("/chart.tgz", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })
	mux.HandleFunc("/other.tgz", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, other) })
	mux.HandleFunc("/text", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) })
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) })
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestLoadChart(t *testing.T) {
	t.Parallel()
	server := chartServer(t)
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	text := filepath.Join(t.TempDir(), "chart.tgz")
	require.NoError(t, os.WriteFile(text, []byte("hello"), 0o600))
	for name, tc := range map[string]struct {
		from, errors string
		party        errs.Party
	}{
		"directory":       {from: "testdata/chart"},
		"file":            {from: packed(t)},
		"URL":             {from: server.URL + "/chart.tgz"},
		"no file":         {"no/such/chart.tgz", "read chart no/such/chart.tgz", errs.Usage},
		"no directory":    {t.TempDir(), "Chart.yaml file is missing", errs.Usage},
		"no archive":      {text, "gzip", errs.Usage},
		"no chart at URL": {server.URL + "/text", "read chart " + server.URL + "/text", errs.Usage},
		"server is down":  {server.URL + "/down", "the server says 503", errs.Infra},
		"no such chart":   {server.URL + "/none.tgz", "the server says 404", errs.Infra},
		"nobody there":    {closed.URL + "/chart.tgz", "connection refused", errs.Infra},
		"another chart":   {server.URL + "/other.tgz", "is called other and not chaos-mesh", errs.Usage},
		"other scheme":    {"oci://registry.example.com/chaos-mesh", "only http and https", errs.Usage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ch, err := loadChart(t.Context(), http.DefaultClient, tc.from)
			if tc.errors != "" {
				require.ErrorContains(t, err, tc.errors)
				require.Equal(t, tc.party, errs.PartyOf(err))
				require.Contains(t, errs.HintOf(err), "--chaos-mesh-chart")
				return
			}
			require.NoError(t, err)
			require.Equal(t, "2.8.4", ch.Metadata.Version)
		})
	}
}

// toServer sends every request to a file of a server.
type toServer struct{ url string }

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() != DefaultChart {
		return nil, http.ErrNotSupported
	}
	there, err := http.NewRequestWithContext(r.Context(), http.MethodGet, s.url, nil)
	if err != nil {
		return nil, err
	}
	return http.DefaultTransport.RoundTrip(there)
}

func TestPinnedChartIsChecked(t *testing.T) {
	t.Parallel()
	_, err := loadChart(t.Context(), &http.Client{Transport: toServer{chartServer(t).URL + "/chart.tgz"}}, "")
	require.ErrorContains(t, err, "and not sha256:"+DefaultChartDigest)
	require.Equal(t, errs.Infra, errs.PartyOf(err))
}

func TestNothingIsMadeWithoutAChart(t *testing.T) {
	t.Parallel()
	r := newRig(t, Options{Chart: "no/such/chart"})
	_, err := r.install(t.Context())
	require.Equal(t, errs.Usage, errs.PartyOf(err))
	require.Zero(t, r.ownedDefinitions(t))
	require.Zero(t, r.podsMade())
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	require.NoError(t, Options{Chart: "testdata/chart", Images: "registry.example.com/mirror:v2.8.4"}.Check(t.Context()))
	for _, wrong := range []Options{{Chart: "testdata/chart", Images: "https://registry.example.com"}, {Chart: "no/such/chart"}} {
		err := wrong.Check(t.Context())
		require.Equal(t, errs.Usage, errs.PartyOf(err))
		require.NotEmpty(t, errs.HintOf(err))
	}
}

func TestLacks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Chart.yaml"),
		[]byte("apiVersion: v2\nname: chaos-mesh\nversion: 2.8.4\nannotations:\n  "+LacksAnnotation+": HTTPChaos IOChaos\n"), 0o600))
	require.Equal(t, []string{"HTTPChaos", "IOChaos"}, Options{Chart: dir}.Lacks())
	for _, chart := range []string{"", "testdata/chart", "no/such/chart", DefaultChart, t.TempDir()} {
		require.Empty(t, Options{Chart: chart}.Lacks(), chart)
	}
}
