// Package network tests that faults of the network show to the users of an application: policies, Services, Ingresses, bandwidth, and tables that are
// full.
package network
