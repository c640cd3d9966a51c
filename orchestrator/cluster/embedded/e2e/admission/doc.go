// Package admission tests what decides about objects and workloads on a whole embedded cluster: webhooks that are served
// from pods, policies and quotas, priorities and disruption budgets, the rights of workloads, and the built-in controllers.
package admission
