// Package v1alpha1 is the API of the cache operator: what a team writes to get caches, and what it reads about them.
//
// +kubebuilder:object:generate=true
// +groupName=cache.example.com
package v1alpha1

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of the API.
var GroupVersion = schema.GroupVersion{Group: "cache.example.com", Version: "v1alpha1"}

// The types of a Cache's conditions.
const (
	// Reconciled is true when the cluster's objects are as the Cache wants them; its message is the API server's own when
	// it refuses them.
	Reconciled = "Reconciled"
	// Ready is true when every replica is.
	Ready = "Ready"
)

// AddToScheme registers the API's types.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &Cache{}, &CacheList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}

// Cache is a set of Redis servers behind one Service of the same name. They share nothing: a client gets from each what has
// been put there, as from any cache that may lose what it has.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:subresource:scale:specpath=.spec.replicas,statuspath=.status.replicas,selectorpath=.status.selector
// +kubebuilder:printcolumn:name=Ready,type=integer,JSONPath=.status.readyReplicas
// +kubebuilder:printcolumn:name=Replicas,type=integer,JSONPath=.spec.replicas
// +kubebuilder:printcolumn:name=Reconciled,type=string,JSONPath=`.status.conditions[?(@.type=="Reconciled")].status`
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=.metadata.creationTimestamp
type Cache struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   CacheSpec   `json:"spec"`
	Status CacheStatus `json:"status,omitempty"`
}

// CacheList is a list of caches.
//
// +kubebuilder:object:root=true
type CacheList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Cache `json:"items"`
}

// CacheSpec is what is wanted. What the operator passes on, such as tolerations and the update strategy, is judged by the API
// server when the operator applies it, not when the Cache is written.
type CacheSpec struct {
	// Replicas is the number of servers.
	//
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=0
	Replicas *int32 `json:"replicas,omitempty"`
	// Image is what the servers run.
	//
	// +kubebuilder:default="registry.local/library/redis:7.4.1"
	Image string `json:"image,omitempty"`
	// Password is the key of a Secret; without it every client is let in.
	Password *corev1.SecretKeySelector `json:"password,omitempty"`
	// MaxMemory is what a server holds before it forgets what was used least recently.
	//
	// +kubebuilder:default="16Mi"
	MaxMemory resource.Quantity `json:"maxMemory,omitempty"`
	// Storage gives every server a volume of its own at /data.
	Storage *Storage `json:"storage,omitempty"`
	// Resources are those of a server's container.
	Resources corev1.ResourceRequirements `json:"resources,omitempty"`
	// SecurityContext is that of the pods.
	SecurityContext *corev1.PodSecurityContext `json:"securityContext,omitempty"`
	// Tolerations are those of the pods.
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// UpdateStrategy is that of the StatefulSet.
	UpdateStrategy appsv1.StatefulSetUpdateStrategy `json:"updateStrategy,omitempty"`
}

// Storage is a claim for a volume. It cannot be changed later.
type Storage struct {
	// ClassName is a StorageClass; empty means the cluster's default.
	ClassName *string `json:"className,omitempty"`
	// Size is how much room is asked for.
	Size resource.Quantity `json:"size"`
}

// CacheStatus is what was found.
type CacheStatus struct {
	// ObservedGeneration is the generation of the Cache that the rest is about.
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Replicas are all pods, ReadyReplicas those that are ready.
	Replicas      int32 `json:"replicas"`
	ReadyReplicas int32 `json:"readyReplicas"`
	// Selector finds the pods.
	Selector string `json:"selector,omitempty"`
	// Conditions are Reconciled and Ready.
	//
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}
