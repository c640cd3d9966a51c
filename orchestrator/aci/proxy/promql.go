package proxy

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	// nobody is a name that no metric and no label has.
	nobody = "__none__"
	// maxExpression bounds what is parsed here: the parser goes as deep as an expression does.
	maxExpression = 16 << 10

	labelPath, valuesPath = "/api/v1/label/", "/values"
)

// RestrictTelemetry returns what to ask Prometheus in the place of path (not escaped) and query, so that it never looks at what is
// hidden. Filtering the answer alone would not do: an expression can drop the labels by which hidden series are known (sum), give
// them others (label_replace), and count what nobody may see. What is hidden is made to be as if it were not there. The error is an
// expression's own, in Prometheus' words. Other paths, and Jaeger's, are returned as they are.
func (r Rules) RestrictTelemetry(path string, query url.Values) (string, url.Values, error) {
	out := maps.Clone(query)
	if out == nil {
		out = url.Values{}
	}
	var err error
	switch {
	case path == "/api/v1/query", path == "/api/v1/query_range":
		err = r.restrictAll(out, "query")
	case path == "/api/v1/series":
		err = r.restrictAll(out, "match[]")
	case path == "/api/v1/labels", strings.HasPrefix(path, labelPath):
		if len(out["match[]"]) == 0 {
			out.Set("match[]", `{`+model.MetricNameLabel+`!=""}`)
		}
		path, err = r.restrictLabel(path), r.restrictAll(out, "match[]")
	}
	return path, out, err
}

// restrictLabel makes the path of the values of a hidden label that of a label that has none.
func (r Rules) restrictLabel(path string) string {
	name, _ := strings.CutSuffix(strings.TrimPrefix(path, labelPath), valuesPath)
	if strings.HasPrefix(name, "U__") { // As Prometheus decides it.
		name = model.UnescapeName(name, model.ValueEncodingEscaping)
	}
	if r.hiddenName(name) {
		return labelPath + nobody + valuesPath
	}
	return path
}

// restrictAll restricts every expression that a parameter gives.
func (r Rules) restrictAll(query url.Values, parameter string) error {
	var out []string
	for _, expression := range query[parameter] {
		restricted, err := r.restrict(expression)
		if err != nil {
			return fmt.Errorf("invalid parameter %q: %w", parameter, err)
		}
		out = append(out, restricted)
	}
	if out != nil {
		query[parameter] = out
	}
	return nil
}

// restrict rewrites one expression: every selector leaves out hidden series, and every mention of a hidden label is one of a
// label that nothing has.
func (r Rules) restrict(expression string) (string, error) {
	if len(expression) > maxExpression {
		return "", fmt.Errorf("the expression is longer than %d bytes", maxExpression)
	}
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		return "", err
	}
	seen, err := r.seenSeries()
	if err != nil {
		return "", fmt.Errorf("make matchers of what is hidden: %w", err)
	}
	var errs []error
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.VectorSelector:
			errs = append(errs, r.restrictSelector(n, seen))
		case *parser.AggregateExpr:
			r.restrictNames(n.Grouping)
		case *parser.BinaryExpr:
			if n.VectorMatching != nil {
				r.restrictNames(n.VectorMatching.MatchingLabels)
				r.restrictNames(n.VectorMatching.Include)
			}
		case *parser.Call:
			r.restrictCall(n)
		}
		return nil
	})
	return tree.String(), errors.Join(errs...)
}

// restrictSelector adds the matchers of what may be seen.
func (r Rules) restrictSelector(s *parser.VectorSelector, seen []*labels.Matcher) error {
	if r.hiddenName(s.Name) {
		none, err := labels.NewMatcher(labels.MatchEqual, model.MetricNameLabel, nobody)
		s.Name, s.LabelMatchers = nobody, []*labels.Matcher{none}
		return err
	}
	for i, m := range s.LabelMatchers {
		if !r.hiddenName(m.Name) {
			continue
		}
		absent, err := labels.NewMatcher(m.Type, nobody, m.Value)
		if err != nil {
			return err
		}
		s.LabelMatchers[i] = absent
	}
	for _, m := range seen {
		// A name before the braces is the only one that there may be.
		if m.Name != model.MetricNameLabel || s.Name == "" {
			s.LabelMatchers = append(s.LabelMatchers, m)
		}
	}
	return nil
}

func (r Rules) restrictNames(names []string) {
	for i, name := range names {
		if r.hiddenName(name) {
			names[i] = nobody
		}
	}
}

// restrictCall restricts the labels that a function reads: those that it writes are filtered out of the answer.
func (r Rules) restrictCall(call *parser.Call) {
	read := call.Args
	switch call.Func.Name {
	case "label_replace":
		read = read[3:4]
	case "label_join":
		read = read[3:]
	case "sort_by_label", "sort_by_label_desc":
		read = read[1:]
	default:
		return
	}
	for _, arg := range read {
		for inner, ok := arg.(*parser.ParenExpr); ok; inner, ok = arg.(*parser.ParenExpr) {
			arg = inner.Expr
		}
		if name, ok := arg.(*parser.StringLiteral); ok && r.hiddenName(name.Val) {
			name.Val = nobody
		}
	}
}

// seenSeries are matchers that all series match but the hidden ones; they say what hiddenLabels says of an answer.
func (r Rules) seenSeries() ([]*labels.Matcher, error) {
	var out []*labels.Matcher
	var errs []error
	add := func(kind labels.MatchType, names []string, pattern string) {
		for _, name := range names {
			m, err := labels.NewMatcher(kind, name, pattern)
			out, errs = append(out, m), append(errs, err)
		}
	}
	if len(r.Namespaces) > 0 {
		add(labels.MatchNotRegexp, namespaceLabels, alternatives(r.Namespaces, "", ""))
	}
	if len(r.Only) > 0 { // What has no namespace is seen.
		add(labels.MatchRegexp, namespaceLabels, "|"+alternatives(r.Only, "", ""))
	}
	if len(r.Words) > 0 {
		add(labels.MatchNotRegexp, nameLabels, "(?i:"+alternatives(r.Words, ".*", ".*")+")")
	}
	if len(r.Groups) > 0 {
		add(labels.MatchNotRegexp, nameLabels, "(?i:"+alternatives(r.Groups, `.*\.`, "")+")")
	}
	return out, errors.Join(errs...)
}

// alternatives is a regular expression that matches each of texts between before and after.
func alternatives(texts []string, before, after string) string {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = before + regexp.QuoteMeta(text) + after
	}
	return strings.Join(quoted, "|")
}
