package chaosmesh

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"

	"github.com/gameday-bench/gameday/internal/errs"
)

const (
	// DefaultChart is the public chart of the release that the definitions in package crds fit.
	DefaultChart = "https://charts.chaos-mesh.org/chaos-mesh-2.8.4.tgz"
	// DefaultChartDigest is the SHA-256 of DefaultChart.
	DefaultChartDigest = "ae4abd385649771300e4d33a44627c0df3618be0780c385bf30cc2fdf2ad93fa"

	chartName = "chaos-mesh"
	// maxChart bounds what is downloaded, in bytes: the chart has about 150 KB.
	maxChart      = 16 << 20
	downloadLimit = time.Minute
)

// Check finds out what keeps Install from beginning, as far as that can be known without a cluster: images that are no reference and a chart
// that is none (party usage), a chart that is not reached (party infra). It makes nothing.
func (o Options) Check(ctx context.Context) error {
	o = o.withDefaults()
	if _, err := parseImages(o.Images); err != nil {
		return err
	}
	_, err := loadChart(ctx, o.HTTP, o.Chart)
	return err
}

// LacksAnnotation is on a chart, in Chart.yaml, whose images cannot inject every kind of fault: the kinds that they cannot, with spaces between.
const LacksAnnotation = "gameday.dev/lacks"

// Lacks are the kinds of Chaos Mesh that the images of the chart cannot inject, for example HTTPChaos, as far as a chart that is a directory
// says so by LacksAnnotation. Charts of releases can inject all of them. A chart that cannot be read is for Check to report.
func (o Options) Lacks() []string {
	if info, err := os.Stat(o.Chart); err != nil || !info.IsDir() {
		return nil
	}
	meta, err := chartutil.LoadChartfile(filepath.Join(o.Chart, chartutil.ChartfileName))
	if err != nil {
		return nil
	}
	return strings.Fields(meta.Annotations[LacksAnnotation])
}

// loadChart reads the chart from a directory, a file or a URL; from the pinned place where from is empty.
func loadChart(ctx context.Context, client *http.Client, from string) (*chart.Chart, error) {
	ch, err := readChart(ctx, client, from)
	if err != nil {
		return nil, err
	}
	if ch.Metadata.Name != chartName {
		return nil, chartHint(errs.Newf(errs.Usage, "chart %s is called %s and not %s", cmp.Or(from, DefaultChart), ch.Metadata.Name, chartName))
	}
	return ch, nil
}

func readChart(ctx context.Context, client *http.Client, from string) (*chart.Chart, error) {
	url, digest := from, ""
	switch {
	case from == "":
		url, digest = DefaultChart, DefaultChartDigest
	case strings.HasPrefix(from, "http://"), strings.HasPrefix(from, "https://"):
	case strings.Contains(from, "://"):
		return nil, chartHint(errs.Newf(errs.Usage, "chart %s: only http and https are spoken", from))
	default:
		ch, err := loader.Load(from)
		if err != nil {
			return nil, chartHint(errs.With(errs.Usage, fmt.Errorf("read chart %s: %w", from, err)))
		}
		return ch, nil
	}
	data, err := download(ctx, client, url)
	if err != nil {
		return nil, chartHint(errs.With(errs.Infra, fmt.Errorf("download chart %s: %w", url, err)))
	}
	if sum := sha256.Sum256(data); digest != "" && hex.EncodeToString(sum[:]) != digest {
		return nil, chartHint(errs.Newf(errs.Infra, "chart %s has the digest sha256:%s and not sha256:%s", url, hex.EncodeToString(sum[:]), digest))
	}
	ch, err := loader.LoadArchive(bytes.NewReader(data))
	if err != nil {
		return nil, chartHint(errs.With(errs.Usage, fmt.Errorf("read chart %s: %w", url, err)))
	}
	return ch, nil
}

func chartHint(err error) error {
	return errs.Hint(err, "get %s where it can be reached, and name it with --chaos-mesh-chart FILE, or install Chaos Mesh before", DefaultChart)
}

func download(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, downloadLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server says %s", resp.Status)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxChart+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxChart {
		return nil, fmt.Errorf("it has more than %d bytes", maxChart)
	}
	return data, nil
}
