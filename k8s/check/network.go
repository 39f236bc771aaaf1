package check

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"
)

// services: who is sent somewhere arrives: ServiceMonitor and Ingress at a Service's port, a Service
// at a container's port of the same protocol.
func services(o *Objects) (broken []error) {
	byName := map[string]*corev1.Service{}
	for _, service := range o.Services {
		byName[service.Name] = service
		pods := 0
		for _, s := range o.StatefulSets {
			if len(service.Spec.Selector) == 0 || !labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(s.Spec.Template.Labels)) {
				continue
			}
			pods++
			for _, p := range service.Spec.Ports {
				if !slices.ContainsFunc(ports(s), func(c corev1.ContainerPort) bool { return is(p.TargetPort, p.Protocol, c) }) {
					broken = append(broken, fmt.Errorf("service %s sends %s to port %s of %s, which has none", service.Name, p.Protocol, &p.TargetPort, s.Name))
				}
			}
		}
		if pods == 0 {
			broken = append(broken, fmt.Errorf("service %s selects no pod", service.Name))
		}
	}
	for _, s := range o.StatefulSets {
		if byName[s.Spec.ServiceName] == nil {
			broken = append(broken, fmt.Errorf("%s has service %q, which is not rendered", s.Name, s.Spec.ServiceName))
		}
	}
	for _, i := range o.Ingresses {
		for _, rule := range i.Spec.Rules {
			for _, path := range rule.HTTP.Paths {
				to := path.Backend.Service
				service := byName[to.Name]
				if service == nil || !slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool {
					return p.Name == to.Port.Name || p.Port == to.Port.Number
				}) {
					broken = append(broken, fmt.Errorf("ingress %s leads to %s port %s, which is not there", i.Name, to.Name, to.Port.Name))
				}
			}
		}
	}
	for _, m := range o.Monitors {
		for _, endpoint := range m.Spec.Endpoints {
			found := 0
			for _, service := range o.Services {
				selector, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
				if err == nil && selector.Matches(labels.Set(service.Labels)) &&
					slices.ContainsFunc(service.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == endpoint.Port }) {
					found++
				}
			}
			if found != 1 {
				broken = append(broken, fmt.Errorf("monitor %s finds port %s at %d services, want 1", m.Name, endpoint.Port, found))
			}
		}
	}
	return broken
}

func ports(s *appsv1.StatefulSet) (all []corev1.ContainerPort) {
	for _, c := range s.Spec.Template.Spec.Containers {
		all = append(all, c.Ports...)
	}
	return all
}

func is(port intstr.IntOrString, protocol corev1.Protocol, c corev1.ContainerPort) bool {
	return protocol == c.Protocol && (port.Type == intstr.String && port.StrVal == c.Name || port.Type == intstr.Int && port.IntVal == c.ContainerPort)
}

// networkPolicies: everything is denied, then each port that a container has is opened, no other is,
// and names can be looked up.
func networkPolicies(o *Objects) (broken []error) {
	both := []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress}
	if !slices.ContainsFunc(o.NetworkPolicies, func(p *networkingv1.NetworkPolicy) bool {
		return len(p.Spec.PodSelector.MatchLabels)+len(p.Spec.PodSelector.MatchExpressions)+len(p.Spec.Ingress)+len(p.Spec.Egress) == 0 &&
			slices.Equal(p.Spec.PolicyTypes, both)
	}) {
		broken = append(broken, fmt.Errorf("no network policy denies everything by default"))
	}
	for _, s := range o.StatefulSets {
		unopened := map[string]corev1.ContainerPort{}
		for _, c := range ports(s) {
			unopened[c.Name] = c
		}
		dns := false
		for _, p := range o.NetworkPolicies {
			if !selects(&p.Spec.PodSelector, s) {
				continue
			}
			for _, rule := range p.Spec.Ingress {
				if len(rule.Ports) == 0 {
					broken = append(broken, fmt.Errorf("network policy %s opens every port", p.Name))
				}
				for _, open := range rule.Ports {
					if open.Port == nil || open.Protocol == nil {
						broken = append(broken, fmt.Errorf("network policy %s opens a port without number or protocol", p.Name))
						continue
					}
					i := slices.IndexFunc(ports(s), func(c corev1.ContainerPort) bool { return is(*open.Port, *open.Protocol, c) })
					if i < 0 {
						broken = append(broken, fmt.Errorf("network policy %s opens %s port %s, which no container of %s has", p.Name, *open.Protocol, open.Port, s.Name))
						continue
					}
					delete(unopened, ports(s)[i].Name)
				}
			}
			for _, rule := range p.Spec.Egress {
				if len(rule.To) == 0 || len(rule.Ports) == 0 {
					broken = append(broken, fmt.Errorf("network policy %s lets %s call anybody", p.Name, s.Name))
				}
				dns = dns || slices.ContainsFunc(rule.Ports, func(open networkingv1.NetworkPolicyPort) bool {
					return open.Port != nil && open.Port.IntValue() == 53 && open.Protocol != nil && *open.Protocol == corev1.ProtocolUDP
				})
			}
		}
		for _, name := range slices.Sorted(maps.Keys(unopened)) {
			broken = append(broken, fmt.Errorf("no network policy opens port %s of %s", name, s.Name))
		}
		if !dns {
			broken = append(broken, fmt.Errorf("%s cannot look up names", s.Name))
		}
	}
	return broken
}

// configuration: what aggregator.yaml says about ports and paths is what the pod has.
func configuration(o *Objects) (broken []error) {
	for _, s := range o.StatefulSets {
		for _, v := range s.Spec.Template.Spec.Volumes {
			if v.ConfigMap == nil {
				continue
			}
			i := slices.IndexFunc(o.ConfigMaps, func(m *corev1.ConfigMap) bool { return m.Name == v.ConfigMap.Name })
			if i < 0 {
				broken = append(broken, fmt.Errorf("%s mounts config map %s, which is not rendered", s.Name, v.ConfigMap.Name))
				continue
			}
			config, err := configOf(o, s)
			if err == nil {
				err = config.fits(s)
			}
			if err != nil {
				broken = append(broken, fmt.Errorf("aggregator.yaml of %s: %w", s.Name, err))
			}
		}
	}
	return broken
}

// config is the part of aggregator.yaml that has to fit to a pod.
type config struct {
	Origin, Listen, Data, Engine, Follow string
	LogKey                               string `json:"log_key"`
	Libp2p                               struct{ Listen []string }
}

// configOf reads the configuration that a pod mounts; it is empty if there is none.
func configOf(o *Objects, s *appsv1.StatefulSet) (c config, err error) {
	for _, v := range s.Spec.Template.Spec.Volumes {
		for _, m := range o.ConfigMaps {
			if v.ConfigMap != nil && m.Name == v.ConfigMap.Name {
				if err := yaml.Unmarshal([]byte(m.Data["aggregator.yaml"]), &c); err != nil {
					return config{}, fmt.Errorf("parsing it: %w", err)
				}
			}
		}
	}
	return c, nil
}

// follows reports whether a set's servers follow another.
func follows(o *Objects, s *appsv1.StatefulSet) bool {
	c, err := configOf(o, s)
	return err == nil && c.Follow != ""
}

// EnginePath is where the image has the embedded engine (folder image).
const EnginePath = "/usr/lib/repronet/libchdb.so"

// fits reports what a pod does not have that its configuration needs.
func (c *config) fits(s *appsv1.StatefulSet) error {
	listens := map[string]bool{"TCP/" + c.Listen[strings.LastIndex(c.Listen, ":")+1:]: true}
	for _, address := range c.Libp2p.Listen {
		// /ip4/0.0.0.0/tcp/4001, /ip4/0.0.0.0/udp/4001/quic-v1
		part := strings.Split(address, "/")
		if len(part) < 5 {
			return fmt.Errorf("libp2p address %q has no port", address)
		}
		listens[strings.ToUpper(part[3])+"/"+part[4]] = true
	}
	has := map[string]bool{}
	for _, p := range ports(s) {
		has[fmt.Sprintf("%s/%d", p.Protocol, p.ContainerPort)] = true
	}
	if !maps.Equal(listens, has) {
		return fmt.Errorf("it listens on %v, the container has %v", slices.Sorted(maps.Keys(listens)), slices.Sorted(maps.Keys(has)))
	}
	if c.Origin == "" && c.Follow == "" {
		return fmt.Errorf("it has no origin")
	}
	if c.Engine != EnginePath {
		return fmt.Errorf("its engine is %q, but the image has %s", c.Engine, EnginePath)
	}
	claims := map[string]bool{}
	for _, claim := range s.Spec.VolumeClaimTemplates {
		claims[claim.Name] = true
	}
	if !slices.ContainsFunc(s.Spec.Template.Spec.Containers[0].VolumeMounts, func(m corev1.VolumeMount) bool {
		return m.MountPath == c.Data && claims[m.Name]
	}) {
		return fmt.Errorf("its data directory %q is not on a volume that is kept", c.Data)
	}
	return nil
}
