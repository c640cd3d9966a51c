package network

import "gvisor.dev/gvisor/pkg/tcpip/header"

// How a rate becomes a token bucket. The CNI bandwidth plugin has the same queue, in time; its bucket is what the runtime says.
const (
	burstsPerSecond = 50 // the bucket holds 20 ms of the rate,
	queuesPerSecond = 40 // and 25 ms of it may wait.
	// leastBurst is the least bucket, in packets of full size: with less, slow links would lose every burst of a connection's start.
	leastBurst = 4
	// mostBurst keeps the sums of bytes far from what their types hold.
	mostBurst = 1 << 30
)

// limit shapes what the pod sends and receives, in bytes per second; 0 means no limit. It is called before the link is in use.
func (l *link) limit(egress, ingress uint64) {
	if egress > 0 {
		l.egress = newDevice(l, []Qdisc{{TBF: l.limiter(egress)}}, l.net.route)
	}
	if ingress > 0 {
		l.ingress = newDevice(l, []Qdisc{{TBF: l.limiter(ingress)}}, l.enter)
	}
}

func (l *link) limiter(rate uint64) *TBF {
	full := uint64(l.net.cfg.MTU + header.EthernetMinimumSize)
	burst := min(max(rate/burstsPerSecond, leastBurst*full), mostBurst)
	return &TBF{Rate: rate, Buffer: uint32(burst), Limit: uint32(burst + min(rate/queuesPerSecond, mostBurst))}
}

// limited says whether the link has a bandwidth limit.
func (l *link) limited() bool { return l.egress != nil || l.ingress != nil }
