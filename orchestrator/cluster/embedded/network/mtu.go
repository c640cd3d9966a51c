package network

import (
	"net/netip"
	"slices"
)

// defaultMTU is Ethernet's.
const defaultMTU = 1500

// MTU is the largest packet that the pod's eth0 sends.
func (p *Pod) MTU() int { return p.net.cfg.MTU }

// passing returns what of a packet passes the node's uplink, and takes over its reference. What is too large is lost without a word: the ICMP
// message that would tell the sender is not to be had where an overlay network's packets grow on the way, and it is often filtered elsewhere.
func (n *Network) passing(f frame) []frame {
	most := n.cfg.UplinkMTU
	if f.pkt.Size() <= most || f.mss != 0 && !n.tight() { // the ends of a connection agree on segments that fit in both their MTUs.
		return []frame{f}
	}
	return slices.DeleteFunc(f.segments(), func(p frame) bool {
		lost := p.pkt.Size() > most
		if lost {
			p.release()
		}
		return lost
	})
}

// narrow says whether the way to an address may lose packets that eth0 can send. Then every byte has to be in packets.
func (n *Network) narrow(to netip.Addr) bool { return n.tight() && !n.own(to) }

func (n *Network) tight() bool { return n.cfg.UplinkMTU < n.cfg.MTU }
