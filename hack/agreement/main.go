// Command agreement holds two runs of the same problems on two kinds of clusters against each other: it writes a page with the
// verdicts side by side, and fails where they differ and nobody has said why.
//
//	go run ./hack/agreement [-causes FILE]... [-report FILE] RUN RUN
//
// A file of causes says why verdicts differ, and why a problem was played on one of the two only; the first one that fits counts. A run that has
// left a problem out (gameday run --skip-infeasible) says why itself.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/gameday-bench/gameday/internal/errs"
	"github.com/gameday-bench/gameday/results"
)

func main() {
	var files []string
	flag.Func("causes", "file of causes (repeatable)", func(file string) error {
		files = append(files, file)
		return nil
	})
	report := flag.String("report", "", "file of the report (default: standard output)")
	flag.Parse()
	if err := run(files, *report, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		if hint := errs.HintOf(err); hint != "" {
			fmt.Fprintln(os.Stderr, "hint:", hint)
		}
		os.Exit(errs.ExitCode(err))
	}
}

// run compares the two runs and writes the report. The report is written before an error says what has no cause.
func run(files []string, report string, runs []string) error {
	if len(runs) != 2 {
		return errs.Newf(errs.Usage, "compare runs: want two run directories, got %d", len(runs))
	}
	all, err := readCauses(files)
	if err != nil {
		return err
	}
	var sides [2]*results.Data
	for i, dir := range runs {
		if sides[i], err = results.Load(dir); err != nil {
			return err
		}
	}
	c, err := compare(sides[0], sides[1])
	if err != nil {
		return err
	}
	c.explain(all)
	text := c.markdown()
	if report == "" {
		fmt.Print(text)
	} else if err := os.WriteFile(report, []byte(text), 0o644); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	fmt.Fprintf(os.Stderr, "%d verdicts, %d differ, %d problems on one side only\n", c.verdicts, len(c.differences), len(c.alone))
	if left := c.unexplained(); len(left) > 0 {
		return errs.Hint(errors.New("explain differences: these have no cause:\n  "+strings.Join(left, "\n  ")),
			"find out why, and say so in hack/agreement/causes.yaml")
	}
	return nil
}
