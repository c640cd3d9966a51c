package evaluator

import "time"

// Since adds the seconds from the fault going live, and from the brief, to metrics: name and name + "FromBrief". Where a
// time is missing or lies before its start nothing is added.
func (e Evidence) Since(metrics map[string]float64, name string, at time.Time) {
	if at.IsZero() {
		return
	}
	if d := at.Sub(e.FaultLiveAt); !e.FaultLiveAt.IsZero() && d >= 0 {
		metrics[name] = d.Seconds()
	}
	if d := at.Sub(e.BriefAt); !e.BriefAt.IsZero() && d >= 0 {
		metrics[name+"FromBrief"] = d.Seconds()
	}
}

// Is1 is 1 for true and 0 for false: a metric.
func Is1(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}
