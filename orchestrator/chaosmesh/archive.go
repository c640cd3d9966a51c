package chaosmesh

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/gameday-bench/gameday/internal/errs"
	archives "github.com/gameday-bench/gameday/orchestrator/images"
)

// NamesFile says whether a value of Options.Images looks like the path of a file, which no registry's name does.
func NamesFile(value string) bool {
	return strings.HasPrefix(value, ".") || strings.HasPrefix(value, "/") ||
		slices.ContainsFunc([]string{".tar", ".tgz", ".tar.gz"}, func(ending string) bool { return strings.HasSuffix(value, ending) })
}

// CheckArchive is Check for nodes that are given the images from an archive. One that cannot be read, or that does not hold what the chart
// runs, is an error of party usage, too.
func (o Options) CheckArchive(ctx context.Context, archive string) error {
	o = o.withDefaults()
	if _, err := parseImages(o.Images); err != nil {
		return err
	}
	ch, err := loadChart(ctx, o.HTTP, o.Chart)
	if err != nil {
		return err
	}
	wanted := imagesOf(ch)
	hint := "save them where they can be pulled: docker save -o FILE " + strings.Join(wanted, " ")
	lacking, err := archives.Lacking(archive, wanted...)
	if err != nil {
		return errs.Hint(errs.With(errs.Usage, fmt.Errorf("images of Chaos Mesh: %w", err)), "%s", hint)
	}
	if len(lacking) > 0 {
		return errs.Hint(errs.Newf(errs.Usage, "images of Chaos Mesh: archive %s does not hold %s, which the chart runs", archive, strings.Join(lacking, " and ")),
			"%s", hint)
	}
	return nil
}

// imagesOf are the images of the controllers and of the daemon, by the chart's own values; what those do not say is not in it.
func imagesOf(ch *chart.Chart) []string {
	value := func(path ...string) string {
		text, _, _ := unstructured.NestedString(ch.Values, path...) // What is no text is not said, either.
		return text
	}
	var out []string
	for _, part := range []string{"controllerManager", "chaosDaemon"} {
		registry := cmp.Or(value(part, "image", "registry"), value("images", "registry"))
		repository := value(part, "image", "repository")
		tag := cmp.Or(value(part, "image", "tag"), value("images", "tag"))
		if registry != "" && repository != "" && tag != "" {
			out = append(out, registry+"/"+repository+":"+tag)
		}
	}
	return out
}
