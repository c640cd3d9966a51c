package network

import "sync/atomic"

// counter is an amount that many goroutines add to.
type counter struct{ bytes, packets atomic.Uint64 }

func (c *counter) add(a amount) {
	c.bytes.Add(a.bytes)
	c.packets.Add(a.packets)
}

// Traffic counts what a pod has received and sent through its eth0 since it was added. What comes by a shortcut is counted as the
// packets that it would have been.
type Traffic struct {
	RxBytes, RxPackets, RxDropped uint64
	TxBytes, TxPackets, TxDropped uint64
}

// Traffic reads the pod's counters: the node's for a pod on the host network.
func (p *Pod) Traffic() Traffic {
	info, ok := p.st.s.NICInfo()[nicEth0]
	if !ok {
		return Traffic{} // The pod has left the network.
	}
	s, l := info.Stats, p.st.link
	l.net.shortcuts.count(l)
	return Traffic{
		RxBytes: s.Rx.Bytes.Value() + l.received.bytes.Load(), RxPackets: s.Rx.Packets.Value() + l.received.packets.Load(),
		RxDropped: s.MalformedL4RcvdPackets.Value(),
		TxBytes:   s.Tx.Bytes.Value() + l.sent.bytes.Load(), TxPackets: s.Tx.Packets.Value() + l.sent.packets.Load(),
		TxDropped: s.TxPacketsDroppedNoBufferSpace.Value(),
	}
}
