package check

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// Objects are the decoded manifests of one kustomization, by kind.
type Objects struct {
	Namespaces      []*corev1.Namespace
	ServiceAccounts []*corev1.ServiceAccount
	ConfigMaps      []*corev1.ConfigMap
	Services        []*corev1.Service
	StatefulSets    []*appsv1.StatefulSet
	NetworkPolicies []*networkingv1.NetworkPolicy
	Ingresses       []*networkingv1.Ingress
	Budgets         []*policyv1.PodDisruptionBudget
	Autoscalers     []*autoscalingv2.HorizontalPodAutoscaler
	Monitors        []*ServiceMonitor
}

// ServiceMonitor is the part of the Prometheus operator's object that Policy looks at. The rest is
// compared with the operator's own schema by [Schemas].
type ServiceMonitor struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Selector  metav1.LabelSelector `json:"selector"`
		Endpoints []struct {
			Port     string `json:"port"`
			Path     string `json:"path"`
			Interval string `json:"interval"`
		} `json:"endpoints"`
	} `json:"spec"`
}

// DeepCopyObject makes a ServiceMonitor decodable like the API's own types.
func (m *ServiceMonitor) DeepCopyObject() runtime.Object {
	c := *m
	return &c
}

// Decode reads a YAML stream. A field that the API does not have, a field that is given twice and a
// kind for which Policy has no rules are errors.
func Decode(stream []byte) (*Objects, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), autoscalingv2.AddToScheme(scheme),
		networkingv1.AddToScheme(scheme), policyv1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("registering the API's types: %w", err)
	}
	scheme.AddKnownTypes(schema.GroupVersion{Group: "monitoring.coreos.com", Version: "v1"}, &ServiceMonitor{})
	decoder := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme,
		json.SerializerOptions{Yaml: true, Strict: true})

	var all Objects
	documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(stream)))
	for {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return &all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("splitting the YAML stream: %w", err)
		}
		object, kind, err := decoder.Decode(document, nil, nil)
		if err != nil {
			return nil, fmt.Errorf("decoding an object: %w", err)
		}
		if err := all.add(object); err != nil {
			return nil, fmt.Errorf("decoding a %s: %w", kind.Kind, err)
		}
	}
}

func (o *Objects) add(object runtime.Object) error {
	switch x := object.(type) {
	case *corev1.Namespace:
		o.Namespaces = append(o.Namespaces, x)
	case *corev1.ServiceAccount:
		o.ServiceAccounts = append(o.ServiceAccounts, x)
	case *corev1.ConfigMap:
		o.ConfigMaps = append(o.ConfigMaps, x)
	case *corev1.Service:
		o.Services = append(o.Services, x)
	case *appsv1.StatefulSet:
		o.StatefulSets = append(o.StatefulSets, x)
	case *networkingv1.NetworkPolicy:
		o.NetworkPolicies = append(o.NetworkPolicies, x)
	case *networkingv1.Ingress:
		o.Ingresses = append(o.Ingresses, x)
	case *policyv1.PodDisruptionBudget:
		o.Budgets = append(o.Budgets, x)
	case *autoscalingv2.HorizontalPodAutoscaler:
		o.Autoscalers = append(o.Autoscalers, x)
	case *ServiceMonitor:
		o.Monitors = append(o.Monitors, x)
	default:
		return errors.New("there are no rules for this kind: write them in policy.go first")
	}
	return nil
}
