"""Stanford Online Products with ResNet-50, 512 dimensions, 224 pixels: meant to beat 83.26 R@1.

    lookalike data prepare sop --download --out sop
    lookalike train --experiment sop_resnet50 --catalog sop --weights WEIGHTS --run DIR
    lookalike evaluate --run DIR --catalog sop

**Not yet run on Stanford Online Products.** What follows is read from published recipes, each named
where it is used; that together they go beyond the best of them is a hope, not a result.

| R@1 | ResNet-50 with 512 dimensions | batch | epochs |
|---|---|---|---|
| 80.6 | XBM (Wang et al., CVPR 2020); its code's sample has 128 dimensions | 64 | 35,000 steps |
| 81.4 | ProxyNCA++ (Teh, DeVries, Taylor, ECCV 2020) | 192 | 80 |
| 82.7 | Recall@k surrogate (Patel, Tolias, Matas, CVPR 2022) | 4,000 | 55 |
| 83.1 | ROADMAP (Ramzi et al., NeurIPS 2021), at 256 pixels | 128 | 100 |
| 83.26 | Contextual similarity (Liao, Tsiligkaridis, Kulis, 2023) | 128 | 80 |

The plan: recall@k over 4,096 photos, as Patel et al., but for 80 epochs instead of 55, under a
cosine instead of two steps, on ROADMAP's wider crops, and evaluated with the average of the last
epochs' weights. If that falls short, next in order: layer normalisation between pooling and head
(Patel and Teh have it, this network does not), similarity mixup (Patel), 256 pixels (ROADMAP). A
cross-batch memory is not among them: 4,096 photos are seven in a hundred of all, with embeddings
that are not stale, and users of XBM's code report 75 on this data (its issue 12).

What it costs. 80 epochs of 59,551 photos are 1,163 steps of 4,096: 4.76 million photos. One photo
takes 8.2 GFLOP forward and twice that backward; the gradient in chunks embeds it a second time:
4 × 8.2 = 32.8 GFLOP, together 1.56e17.

| Device | bf16 peak, TFLOP/s | assumed share | photos/s | minutes | assumed $ an hour | $ |
|---|---|---|---|---|---|---|
| A100 | 312 | 20 % | 1,902 | 42 | 4 | 2.78 |
| H100 | 989 | 15 % | 4,523 | 18 | 11 | 3.22 |
| H200 | 989 | 18 % | 5,427 | 15 | 11 | 2.68 |
| v5e-8 | 8 × 197 | 15 % | 7,207 | 11 | 10 | 1.84 |

The shares are assumptions. For the A100 there is a measurement to go by, PyTorch's 2,600 photos a
second without the second pass (issue 1491 of pytorch-image-models), 20.5 %; the others have grown
faster in arithmetic than in bandwidth, which is what a ResNet waits for. At these rates the photos
are the bottleneck: at 3 ms to decode and crop one, an A100 keeps 6 cores busy, a v5e-8 22.
Evaluation adds 60,502 photos forward, 5.0e14 FLOP, and 3.7e12 to compare all with all: seconds. A
chunk of 256 photos leaves some 17 GB of activations (about 66 MB a photo in bfloat16), 2 GB on each
chip of a v5e-8. The prices are assumptions too, for one device of a rented machine on demand with
its share of processors and memory: look them up. Setting up, the data's download and compiling come
on top, at the same price.
"""

from trainer.data.augmentation import Augmentation
from trainer.training.experiment import Experiment

TRAINING_PHOTOS = 59_551
EPOCHS = 80  # as Liao et al.; Patel et al. 55, ROADMAP 100
PRODUCTS, PHOTOS = 1024, 4  # Patel et al.: at least 4,000 photos, four of each product

STEPS = EPOCHS * TRAINING_PHOTOS // (PRODUCTS * PHOTOS)

EXPERIMENT = Experiment(
    architecture="resnet50",
    embedding_dim=512,
    image_size=224,
    # Patel et al. and Teh et al. replace average pooling: by the generalised mean, by the maximum.
    pooling="gem",
    # Patel et al. and ROADMAP keep ImageNet's statistics; gradients in chunks need it.
    batch_norm="frozen",
    dtype="bfloat16",
    steps=STEPS,
    products_per_batch=PRODUCTS,
    photos_per_product=PHOTOS,
    # Patel et al. embed 200 at a time on 32 GB in float32.
    gradient_chunks=PRODUCTS * PHOTOS // 256,
    loss="recall_at_k",
    # Patel et al.: k = 1, 2, 4, 8, 16; sigmoids of temperature 1 for recall, 0.01 for ranks.
    loss_options={"largest_k": 16, "recall_temperature": 1.0, "rank_temperature": 0.01},
    # Patel et al., for head and network alike; their Adam multiplies it by 0.3 after epoch 25.
    learning_rate=2e-4,
    head_learning_rate_factor=1.0,
    # Three epochs, for the new head; the published recipes start at full rate.
    warmup_steps=3 * STEPS // EPOCHS,
    # Their 4e-4 is added to Adam's gradients, which is another thing than decay; that of ours is
    # what the rest of this project uses.
    weight_decay=1e-4,
    # ROADMAP's crops and mirror images; none of these recipes changes the light.
    augmentation=Augmentation(
        scale=(0.16, 1.0),
        ratio=(0.75, 1.33),
        flip=0.5,
        brightness=0.0,
        contrast=0.0,
        saturation=0.0,
        hue=0.0,
    ),
    # The mean of the last hundred steps or so, seven epochs; not in these recipes.
    average_decay=0.99,
    checkpoint_every=50,
    log_every=5,
)
