package network

// Traffic counts what a pod has received and sent through its eth0 since it was added.
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
	s := info.Stats
	return Traffic{
		RxBytes: s.Rx.Bytes.Value(), RxPackets: s.Rx.Packets.Value(), RxDropped: s.MalformedL4RcvdPackets.Value(),
		TxBytes: s.Tx.Bytes.Value(), TxPackets: s.Tx.Packets.Value(), TxDropped: s.TxPacketsDroppedNoBufferSpace.Value(),
	}
}
