package kubectl

import (
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/client-go/util/jsonpath"
	"k8s.io/kubectl/pkg/cmd/get"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
)

// errCostly ends a command before it begins: it is run in a child.
var errCostly = errors.New("the command may take more time or memory than can be told")

// What bounds the cost of an expression, with the size of the data: nothing here multiplies by itself.
const (
	maxExpression = 8 << 10
	maxColumns    = 64
	// Ranges that lack their end are evaluated twice each (client-go's jsonpath).
	maxRanges = 2
)

// costly says whether a parsed command computes something whose time and memory are not bounded by its length and the size of
// the objects that it reads: templates, most of all, which can loop for ever and double a text with every word.
func costly(cmd *cobra.Command) bool {
	flags := cmd.Flags()
	top := cmd.Parent() == cmd.Root()
	switch {
	case top && cmd.Name() == "diff": // Takes the square of the length for lines that repeat.
		return true
	case given(flags, "kustomize"): // Bases can include one another, each twice.
		return true
	case top && cmd.Name() == "patch" && given(flags, "local"), value(flags, "override-type") == string(cmdutil.OverrideTypeJSON):
		return true // A JSON patch that is applied here can copy the object into itself, again and again.
	}
	return costlyFormat(flags) || !plainRelaxed(value(flags, "sort-by")) || costlyWait(value(flags, "for"))
}

func given(flags *pflag.FlagSet, name string) bool {
	flag := flags.Lookup(name)
	return flag != nil && flag.Changed
}

// value is what a flag was given, or "".
func value(flags *pflag.FlagSet, name string) string {
	if !given(flags, name) {
		return ""
	}
	return flags.Lookup(name).Value.String()
}

// costlyFormat judges -o and --template.
func costlyFormat(flags *pflag.FlagSet) bool {
	template := value(flags, "template")
	format, expression, inline := strings.Cut(value(flags, "output"), "=")
	if inline && template != "" {
		return true // Which of them counts is for the printers to say.
	}
	if !inline {
		expression = template
	}
	switch format {
	case "jsonpath", "jsonpath-as-json":
		return !plain(expression)
	case "custom-columns":
		return !plainColumns(expression)
	}
	known := []string{"go-template", "template"}
	return template != "" || slices.Contains(known, format) || slices.Contains(fileFormats, format)
}

// costlyWait judges wait --for=jsonpath='{...}'=VALUE. The path ends where its value begins, which is not told here.
func costlyWait(condition string) bool {
	condition = strings.ToLower(condition)
	return strings.Contains(condition, "jsonpath") &&
		(len(condition) > maxExpression || strings.Contains(condition, "..") || strings.Contains(condition, ",") || strings.Contains(condition, "range"))
}

func plainColumns(spec string) bool {
	columns := strings.Split(spec, ",")
	if len(spec) > maxExpression || len(columns) > maxColumns {
		return false
	}
	for _, column := range columns {
		_, path, _ := strings.Cut(column, ":")
		if !plainRelaxed(path) {
			return false
		}
	}
	return true
}

// plainRelaxed is plain for an expression that may lack its braces.
func plainRelaxed(expression string) bool {
	path, err := get.RelaxedJSONPathExpression(expression)
	return err == nil && plain(path)
}

// plain is true for a JSONPath without unions and recursion, which multiply at each step, and with few ranges. What is no
// JSONPath is not plain.
func plain(expression string) bool {
	if len(expression) > maxExpression {
		return false
	}
	parser, err := jsonpath.Parse("", expression)
	if err != nil {
		return false
	}
	ranges, ok := 0, true
	var walk func(list *jsonpath.ListNode, inFilter bool)
	walk = func(list *jsonpath.ListNode, inFilter bool) {
		for _, node := range list.Nodes {
			switch node := node.(type) {
			case *jsonpath.ListNode:
				walk(node, inFilter)
			case *jsonpath.FilterNode:
				walk(node.Left, true)
				walk(node.Right, true)
			case *jsonpath.UnionNode, *jsonpath.RecursiveNode:
				ok = false
			case *jsonpath.IdentifierNode:
				ranges++
				ok = ok && !inFilter
			}
		}
	}
	walk(parser.Root, false)
	// Each range has an end, which is an identifier, too.
	return ok && ranges <= 2*maxRanges
}
