package chaosdaemon

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chaos-mesh/chaos-mesh/pkg/chaosdaemon/pb"
)

// netemLimit is how many packets a netem queue holds where nothing else is said, tc-netem(8).
const netemLimit = 1000

// queueing arranges the rules of one request as Chaos Mesh's own daemon does: the rules of a device without a filter
// follow each other from the root, and after them each distinct filter has a class of its own.
func queueing(tcs []*pb.Tc) ([]Device, error) {
	var out []Device
	for _, tc := range tcs {
		name := cmp.Or(tc.GetDevice(), defaultDevice)
		i := slices.IndexFunc(out, func(d Device) bool { return d.Name == name })
		if i < 0 {
			i, out = len(out), append(out, Device{Name: name})
		}
		q, err := qdisc(tc)
		if err != nil {
			return nil, err
		}
		device := &out[i]
		if tc.GetIpset() == "" && tc.GetProtocol() == "" && tc.GetEgressPort() == "" && tc.GetSourcePort() == "" {
			device.All = append(device.All, q)
			continue
		}
		m, err := match(tc.GetIpset(), tc.GetProtocol(), tc.GetSourcePort(), tc.GetEgressPort())
		if err != nil {
			return nil, err
		}
		j := slices.IndexFunc(device.Classes, func(c Class) bool { return c.Match.equal(m) })
		if j < 0 {
			j, device.Classes = len(device.Classes), append(device.Classes, Class{Match: m})
		}
		device.Classes[j].Qdiscs = append(device.Classes[j].Qdiscs, q)
	}
	return out, nil
}

func (m Match) equal(o Match) bool {
	return m.IPSet == o.IPSet && m.Protocol == o.Protocol &&
		slices.Equal(m.SourcePorts, o.SourcePorts) && slices.Equal(m.DestinationPorts, o.DestinationPorts)
}

func qdisc(tc *pb.Tc) (Qdisc, error) {
	switch tc.GetType() {
	case pb.Tc_BANDWIDTH:
		if tc.GetTbf() == nil {
			return Qdisc{}, fmt.Errorf("tbf is nil while type is BANDWIDTH")
		}
		t, err := tbf(tc.GetTbf())
		return Qdisc{TBF: t}, err
	case pb.Tc_NETEM:
		if tc.GetNetem() == nil {
			return Qdisc{}, fmt.Errorf("netem is nil while type is NETEM")
		}
		n, err := netem(tc.GetNetem())
		return Qdisc{Netem: n}, err
	default:
		return Qdisc{}, fmt.Errorf("unknown tc qdisc type %d", tc.GetType())
	}
}

func netem(in *pb.Netem) (*Netem, error) {
	out := &Netem{
		Limit: cmp.Or(int(in.GetLimit()), netemLimit),
		Loss:  float64(in.GetLoss()), LossCorrelation: float64(in.GetLossCorr()),
		Duplicate: float64(in.GetDuplicate()), DuplicateCorr: float64(in.GetDuplicateCorr()),
		Corrupt: float64(in.GetCorrupt()), CorruptCorr: float64(in.GetCorruptCorr()),
	}
	var err error
	if out.Delay, err = duration("delay", in.GetTime()); err != nil {
		return nil, err
	}
	jitter, err := duration("jitter", in.GetJitter())
	if err != nil {
		return nil, err
	}
	// tc takes jitter only after a delay, and reordering is not possible without one.
	if out.Delay > 0 {
		if out.Jitter = jitter; jitter > 0 {
			out.DelayCorrelation = float64(in.GetDelayCorr())
		}
		if in.GetReorder() > 0 {
			out.Reorder, out.ReorderCorr = float64(in.GetReorder()), float64(in.GetReorderCorr())
			out.Gap = int(in.GetGap())
		}
	}
	if in.GetRate() != "" {
		if out.RateBitsPerSecond, err = rate(in.GetRate()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func tbf(in *pb.Tbf) (*TBF, error) {
	bits, err := rate(in.GetRate())
	if err != nil {
		return nil, err
	}
	if bits == 0 || in.GetBuffer() == 0 || in.GetLimit() == 0 {
		return nil, fmt.Errorf("tbf needs a rate, a burst and a limit, not %q, %d and %d", in.GetRate(), in.GetBuffer(), in.GetLimit())
	}
	out := &TBF{RateBitsPerSecond: bits, BurstBytes: uint64(in.GetBuffer()), LimitBytes: uint64(in.GetLimit())}
	if in.GetPeakRate() > 0 {
		// A bare number is bits per second to tc(8).
		out.PeakRateBitsPerSecond, out.MTUBytes = in.GetPeakRate(), uint64(in.GetMinBurst())
	}
	return out, nil
}

func duration(what, s string) (time.Duration, error) {
	if s == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("parse netem %s %s: %w", what, s, err)
	}
	if d < 0 {
		return 0, fmt.Errorf("parse netem %s %s: negative duration", what, s)
	}
	return d, nil
}

// rate reads a rate as tc(8) does and returns bits per second: a bare number or "bit" is bits per second, "bps" is bytes
// per second; k, m, g, t are powers of 1000 and ki, mi, gi, ti of 1024.
func rate(s string) (uint64, error) {
	lower := strings.ToLower(strings.TrimSpace(s))
	digits := strings.TrimRight(lower, "abcdefghijklmnopqrstuvwxyz")
	value, err := strconv.ParseFloat(digits, 64)
	if err != nil || value < 0 {
		return 0, fmt.Errorf("parse rate %q: want a number and a unit of tc(8), for example 1mbps or 100kbit", s)
	}
	unit := lower[len(digits):]
	scale := 1.0
	switch {
	case strings.HasSuffix(unit, "bps"):
		scale, unit = 8, strings.TrimSuffix(unit, "bps")
	case strings.HasSuffix(unit, "bit"):
		unit = strings.TrimSuffix(unit, "bit")
	}
	base := 1000.0
	if strings.HasSuffix(unit, "i") {
		base, unit = 1024, strings.TrimSuffix(unit, "i")
	}
	power := strings.Index(" kmgt", unit)
	if unit == "" {
		power = 0
	}
	if power < 0 || len(unit) > 1 {
		return 0, fmt.Errorf("parse rate %q: unknown unit (bit, kbit, mbit, gbit, tbit, bps, kbps, mbps, gbps, tbps)", s)
	}
	return uint64(value * scale * math.Pow(base, float64(power))), nil
}
