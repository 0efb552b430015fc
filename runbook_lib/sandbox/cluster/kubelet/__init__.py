"""A kubelet whose containers are processes of this machine: started, probed, limited and ended for real."""
