// Package optimizer builds optimizer steps as graph, on one flat vector of parameters and flat vectors of state, so
// that a step takes a handful of operators however many tensors there are; and learning rate schedules in Go.
//
// The formulas are those of PyTorch's torch.optim.SGD and Adam and of torch.nn.utils.clip_grad_norm_. State
// vectors start as zeros, which makes the first step PyTorch's too. Weight decay is added to the gradient (L2
// regularization) and applies to all parameters, or to those that SGD.Decayed names.
package optimizer
