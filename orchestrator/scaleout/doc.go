// Package scaleout plays the trials of a run in the pods of a Kubernetes cluster: one embedded cluster per pod.
//
// Two processes take part. The Executor, in the process of gameday run, makes a namespace with an Indexed Job, one completion index
// per trial, follows it, gathers each try into the run directory as it ends, and removes everything again. The Worker, in each pod,
// plays one try of one trial and puts its directory into a store as one object: a depot on a volume of the cluster, or a bucket.
//
// Between them is only the store. A Plan says what index is what trial; the key of a stored try says how it ended. So either side
// may be killed at any time: a pod that dies leaves no half try, and an Executor that comes back finds what it missed.
package scaleout
