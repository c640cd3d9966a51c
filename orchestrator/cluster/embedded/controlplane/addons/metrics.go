package addons

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// MetricsAPI returns the registration of metrics.k8s.io: the one of metrics-server's release. Its server makes its own
// certificate when it starts, so that nobody can vouch for it.
func MetricsAPI() *apiregistrationv1.APIService {
	const version = "v1beta1"
	return &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: version + ".metrics.k8s.io", Labels: map[string]string{"k8s-app": "metrics-server"}},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: "metrics.k8s.io", Version: version, GroupPriorityMinimum: 100, VersionPriority: 100, InsecureSkipTLSVerify: true,
			Service: &apiregistrationv1.ServiceReference{Namespace: metav1.NamespaceSystem, Name: "metrics-server"},
		},
	}
}
