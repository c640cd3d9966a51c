package kubestate

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
)

func collectDeployment(p page, o *appsv1.Deployment) {
	l := labels{"namespace", o.Namespace, "deployment", o.Name}
	s := o.Status
	p.moment("kube_deployment_created", l, &o.CreationTimestamp)
	p.add("kube_deployment_metadata_generation", l, float64(o.Generation))
	p.add("kube_deployment_status_observed_generation", l, float64(s.ObservedGeneration))
	p.add("kube_deployment_spec_replicas", l, orOne(o.Spec.Replicas))
	p.flag("kube_deployment_spec_paused", l, o.Spec.Paused)
	p.add("kube_deployment_status_replicas", l, float64(s.Replicas))
	p.add("kube_deployment_status_replicas_ready", l, float64(s.ReadyReplicas))
	p.add("kube_deployment_status_replicas_available", l, float64(s.AvailableReplicas))
	p.add("kube_deployment_status_replicas_unavailable", l, float64(s.UnavailableReplicas))
	p.add("kube_deployment_status_replicas_updated", l, float64(s.UpdatedReplicas))
	for _, c := range s.Conditions {
		p.condition("kube_deployment_status_condition", l.with("reason", c.Reason), string(c.Type), c.Status)
	}
}

func collectStatefulSet(p page, o *appsv1.StatefulSet) {
	l := labels{"namespace", o.Namespace, "statefulset", o.Name}
	s := o.Status
	p.moment("kube_statefulset_created", l, &o.CreationTimestamp)
	p.add("kube_statefulset_metadata_generation", l, float64(o.Generation))
	p.add("kube_statefulset_status_observed_generation", l, float64(s.ObservedGeneration))
	p.add("kube_statefulset_replicas", l, orOne(o.Spec.Replicas))
	p.add("kube_statefulset_status_replicas", l, float64(s.Replicas))
	p.add("kube_statefulset_status_replicas_ready", l, float64(s.ReadyReplicas))
	p.add("kube_statefulset_status_replicas_available", l, float64(s.AvailableReplicas))
	p.add("kube_statefulset_status_replicas_current", l, float64(s.CurrentReplicas))
	p.add("kube_statefulset_status_replicas_updated", l, float64(s.UpdatedReplicas))
}

func collectDaemonSet(p page, o *appsv1.DaemonSet) {
	l := labels{"namespace", o.Namespace, "daemonset", o.Name}
	s := o.Status
	p.moment("kube_daemonset_created", l, &o.CreationTimestamp)
	p.add("kube_daemonset_status_desired_number_scheduled", l, float64(s.DesiredNumberScheduled))
	p.add("kube_daemonset_status_current_number_scheduled", l, float64(s.CurrentNumberScheduled))
	p.add("kube_daemonset_status_updated_number_scheduled", l, float64(s.UpdatedNumberScheduled))
	p.add("kube_daemonset_status_number_misscheduled", l, float64(s.NumberMisscheduled))
	p.add("kube_daemonset_status_number_ready", l, float64(s.NumberReady))
	p.add("kube_daemonset_status_number_available", l, float64(s.NumberAvailable))
	p.add("kube_daemonset_status_number_unavailable", l, float64(s.NumberUnavailable))
}

// collectReplicaSet leaves out the sets that a rollout has emptied: they are history.
func collectReplicaSet(p page, o *appsv1.ReplicaSet) {
	if orOne(o.Spec.Replicas) == 0 && o.Status.Replicas == 0 {
		return
	}
	l := labels{"namespace", o.Namespace, "replicaset", o.Name}
	p.owner("kube_replicaset_owner", l, o.OwnerReferences)
	p.add("kube_replicaset_spec_replicas", l, orOne(o.Spec.Replicas))
	p.add("kube_replicaset_status_replicas", l, float64(o.Status.Replicas))
	p.add("kube_replicaset_status_ready_replicas", l, float64(o.Status.ReadyReplicas))
}

func collectJob(p page, o *batchv1.Job) {
	l := labels{"namespace", o.Namespace, "job_name", o.Name}
	s := o.Status
	p.add("kube_job_info", l, 1)
	p.owner("kube_job_owner", l, o.OwnerReferences)
	p.moment("kube_job_created", l, &o.CreationTimestamp)
	p.add("kube_job_spec_completions", l, orZero(o.Spec.Completions))
	p.add("kube_job_spec_parallelism", l, orZero(o.Spec.Parallelism))
	p.add("kube_job_status_active", l, float64(s.Active))
	p.add("kube_job_status_succeeded", l, float64(s.Succeeded))
	p.add("kube_job_status_failed", l, float64(s.Failed))
	p.moment("kube_job_status_start_time", l, s.StartTime)
	p.moment("kube_job_status_completion_time", l, s.CompletionTime)
	for _, c := range s.Conditions {
		name := map[batchv1.JobConditionType]string{batchv1.JobComplete: "kube_job_complete", batchv1.JobFailed: "kube_job_failed"}[c.Type]
		if name != "" {
			p.set(name, l, "condition", conditionValue(c.Status), "true", "false", "unknown")
		}
	}
}

func collectCronJob(p page, o *batchv1.CronJob) {
	l := labels{"namespace", o.Namespace, "cronjob", o.Name}
	p.add("kube_cronjob_info", l.with("schedule", o.Spec.Schedule, "concurrency_policy", string(o.Spec.ConcurrencyPolicy)), 1)
	p.flag("kube_cronjob_spec_suspend", l, o.Spec.Suspend != nil && *o.Spec.Suspend)
	p.add("kube_cronjob_status_active", l, float64(len(o.Status.Active)))
	p.moment("kube_cronjob_status_last_schedule_time", l, o.Status.LastScheduleTime)
	p.moment("kube_cronjob_status_last_successful_time", l, o.Status.LastSuccessfulTime)
}

func collectBudget(p page, o *policyv1.PodDisruptionBudget) {
	l := labels{"namespace", o.Namespace, "poddisruptionbudget", o.Name}
	p.add("kube_poddisruptionbudget_status_current_healthy", l, float64(o.Status.CurrentHealthy))
	p.add("kube_poddisruptionbudget_status_desired_healthy", l, float64(o.Status.DesiredHealthy))
	p.add("kube_poddisruptionbudget_status_expected_pods", l, float64(o.Status.ExpectedPods))
	p.add("kube_poddisruptionbudget_status_pod_disruptions_allowed", l, float64(o.Status.DisruptionsAllowed))
}

func collectAutoscaler(p page, o *autoscalingv2.HorizontalPodAutoscaler) {
	l := labels{"namespace", o.Namespace, "horizontalpodautoscaler", o.Name}
	p.add("kube_horizontalpodautoscaler_info", l.with("scaletargetref_kind", o.Spec.ScaleTargetRef.Kind, "scaletargetref_name", o.Spec.ScaleTargetRef.Name), 1)
	p.add("kube_horizontalpodautoscaler_spec_min_replicas", l, orOne(o.Spec.MinReplicas))
	p.add("kube_horizontalpodautoscaler_spec_max_replicas", l, float64(o.Spec.MaxReplicas))
	p.add("kube_horizontalpodautoscaler_status_current_replicas", l, float64(o.Status.CurrentReplicas))
	p.add("kube_horizontalpodautoscaler_status_desired_replicas", l, float64(o.Status.DesiredReplicas))
	for _, c := range o.Status.Conditions {
		p.condition("kube_horizontalpodautoscaler_status_condition", l, string(c.Type), corev1.ConditionStatus(c.Status))
	}
}
