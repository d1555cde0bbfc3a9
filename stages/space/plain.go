package space

// ResNet9 is the operation of Plain that is the whole network ResNet-9.
const ResNet9 = "resnet9"

const plainName = "plain"

// Plain returns the networks that people have designed as a whole, so that what a search finds can be trained, exported and
// compared beside them: ResNet-9, by which short trainings on CIFAR-10 are won (Page, "How to train your ResNet", 2018; DAWNBench).
// An architecture is one of them, on the only edge; there are no cells, so nothing is searched here.
func Plain() *Space {
	return &Space{Name: plainName, Nodes: 2, Edges: []Edge{{0, 1}}, Operations: []string{ResNet9}, Whole: true}
}
