package steps

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// Table writes what came of the steps as a table, with the time from the first to the last as wall.
func Table(w io.Writer, outcomes []Outcome, wall time.Duration) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STEP\tTIME\tSIZE\tNOTE")
	var sum time.Duration
	for _, o := range outcomes {
		took := fmt.Sprintf("%.1f s", o.Took.Seconds())
		if o.State != Done {
			took = string(o.State)
		}
		if o.State == Failed {
			took += fmt.Sprintf(" after %.1f s", o.Took.Seconds())
		}
		sum += o.Took
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", o.Step, took, megabytes(o.Bytes), o.Note)
	}
	fmt.Fprintf(t, "all\t%.1f s\t\tsum of the steps %.1f s\n", wall.Seconds(), sum.Seconds())
	if err := t.Flush(); err != nil {
		return fmt.Errorf("write table: %w", err)
	}
	return nil
}

// megabytes is a size for people; nothing where there is none.
func megabytes(n int64) string {
	const mega = 1e6
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f MB", float64(n)/mega)
}
